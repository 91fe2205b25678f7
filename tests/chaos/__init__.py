"""Chaos: a real installation under load while its parts are killed, then every answer reconciled with what is kept.

Run by hand: `uv run python -m tests.chaos --rounds 100 --seed 1`. The suite runs one round of each kind of fault.
"""
