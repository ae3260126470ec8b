"""A virtual board per worker, as after its first boot at the start of each test, and a user's place per test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from provisioning.virtual import VirtualBoard
from tests.acceptance.place import Place


@pytest.fixture(scope="session")
def one_board() -> Iterator[VirtualBoard]:
    with VirtualBoard(paced=False) as board:
        with open_port(board.pty) as wire:
            RawRepl(wire).enter()
        board.power_off()
        board.snapshot("start")
        yield board


@pytest.fixture
def board(one_board: VirtualBoard) -> VirtualBoard:
    """A board that runs MicroPython over an empty file system."""
    one_board.heal()
    one_board.power_off()
    one_board.restore("start")
    with open_port(one_board.pty) as wire:
        one_board.power_on()
        wire.until(b">>> ", 10.0)
    return one_board


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)
