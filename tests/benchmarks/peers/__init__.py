"""Peers on the same machine, with the same model and the same row."""
