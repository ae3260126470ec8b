"""The tests of this folder use what `pip install twinroot` gives to anybody (docs/hil.md), and nothing else."""
