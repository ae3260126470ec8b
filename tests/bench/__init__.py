"""Measurements against peers, in one run, on one virtual board: `python -m tests.bench`."""
