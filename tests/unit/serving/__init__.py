"""Tests of the pure parts of serving."""
