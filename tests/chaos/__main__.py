"""`python -m tests.chaos --rounds 100 --seed 1`: prints a line a round, exits with 1 when anything is wrong."""

import sys
import tempfile
from pathlib import Path

import click

from tests.chaos.plan import rounds
from tests.chaos.run import chaos, settle_alerts
from tests.h2o_models import trained_models


@click.command()
@click.option("--rounds", "count", type=click.IntRange(min=1), default=10, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
def main(count: int, seed: int) -> None:
    """Harm a real installation by a plan that the seed decides, and reconcile after each round."""
    wrong: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="pilothouse-chaos-") as folder,
        chaos(Path(folder), trained_models()["gbm_binomial"], seed=seed) as (subject, receiver),
    ):
        click.echo(f"seed {seed}; counts are of the whole run so far, in rows")
        for this in rounds(seed, count):
            account, took_s = subject.run(this)
            if this.number == count:
                settle_alerts(subject.subject, receiver, account)
            click.echo(f"{this.number:4}  {account}  well after {took_s:.1f} s  {this}")
            click.echo(f"      {'; '.join(account.wrong) or 'balanced'}")
            wrong += account.wrong
    click.echo(f"{count} rounds, {len(receiver.received)} messages received, {len(wrong)} wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
