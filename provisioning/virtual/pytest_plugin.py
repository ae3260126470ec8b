"""pytest fixtures for tests that need a board: `virtual_board` (one per test), `make_virtual_board` (as many as the test asks for).

Registered under the entry point pytest11, so it is imported in every pytest run of this environment: nothing heavy above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from provisioning.virtual.client import VirtualBoard


@pytest.fixture
def make_virtual_board() -> Iterator[Callable[..., VirtualBoard]]:
    """A function that starts a board with the given options of VirtualBoard; all are stopped after the test."""
    from provisioning.virtual.client import VirtualBoard

    running: list[VirtualBoard] = []

    def make(**options: Any) -> VirtualBoard:
        board = VirtualBoard(**options)
        running.append(board)
        return board.start()

    yield make
    for board in running:
        board.close()


@pytest.fixture
def virtual_board(make_virtual_board: Callable[..., VirtualBoard]) -> VirtualBoard:
    """A running virtual ESP32 with MicroPython at its prompt, its wires without a rate (use `paced=True` to pace them)."""
    return make_virtual_board(paced=False)
