"""A recorded session as a board of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioning.virtual import VirtualBoard


@contextmanager
def replayed(file: Path | str, *, paced: bool = True) -> Iterator[VirtualBoard]:
    """The board of a session that `twinroot record` has written. `paced`: with the pauses of then. Raises InputError for another file."""
    from provisioning.virtual import VirtualBoard

    with VirtualBoard(replay=file, paced=paced, link="pty") as board:
        yield board
