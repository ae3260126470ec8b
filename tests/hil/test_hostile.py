"""The hostile-server table of tests/device on a board: virtual, or real with --port and --cloud-host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from provisioning.hil import Board
from provisioning.hil.options import Wanted
from tests.device import matrix


@dataclass
class Device:
    """A board as matrix.py wants it: files, and scripts that print lines."""

    board: Board

    def put(self, tree: dict[str, bytes]) -> None:
        for path, data in tree.items():
            there = self.board.fs / path
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(data)
        self.board.reset("soft")

    def lines(self, script: str) -> list[str]:
        return self.board.exec(script, timeout=300).splitlines()


PLACES = [
    ("right", "preferred"),
    pytest.param("right", "last good", marks=pytest.mark.long),
    pytest.param("2000", "preferred", marks=pytest.mark.long),
    pytest.param("2040", "last good", marks=pytest.mark.long),
]


@pytest.mark.needs_wifi
@pytest.mark.parametrize(("clock", "place"), PLACES)
def test_table(board: Board, hil_options: Wanted, tmp_path: Path, clock: str, place: str) -> None:
    cases = matrix.run(Device(board), tmp_path, clock, place, "rsa", host=hil_options.cloud_host or "127.0.0.1")
    print(matrix.show(cases))
    wrong = [f"{c.scenario.name}: expected {c.expected}, got {c.got}. {c.detail}" for c in cases if not c.ok]
    assert not wrong, "\n".join(wrong)
