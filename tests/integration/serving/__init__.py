"""Tests of the serving path on real parts."""
