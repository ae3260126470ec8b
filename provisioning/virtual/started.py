"""A virtual board as a port: `--port virtual` starts one for the run (entry point `virtual` of the group `twinroot.ports`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def port() -> Iterator[str]:
    """The port of a board with an empty state, which is gone afterwards. Raises StationError where none can run."""
    from provisioning.virtual import VirtualBoard

    with VirtualBoard() as board:
        yield board.port
