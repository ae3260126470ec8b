"""One running MicroPython: a forked child in a jail, its pipes and its control channel."""
