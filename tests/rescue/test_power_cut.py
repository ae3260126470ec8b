"""The power goes at flash operations of a rescue through the loader: each time every file is whole, and running it again ends it."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from provisioning.config.load import load_board
from provisioning.errors import TwinrootError
from provisioning.flash import rom_flash
from provisioning.flash.loader_access import open_line
from provisioning.rescue import blocks, loader, programs
from provisioning.virtual import VirtualBoard
from tests.rescue.conftest import OWN, files_of, put
from tests.rescue.states import DEAF

HELD = {"/boot.py": DEAF.encode(), "/main.py": DEAF.encode()}


def rename_through_loader(board: VirtualBoard, folder: Path) -> list[int]:
    """What `rescue` does once the prompt is given up; the addresses of the sectors that were written."""
    with open_line(load_board("virtual-esp32"), board.rfc2217, folder / "log") as line, line.wire() as wire:
        held = loader.look(line.enter(wire), line.name)
        files = blocks.mount(held.flash, held.partition)
        programs.rename(files, programs.programs(files))
        return held.flash.written


def one_of_both(found: dict[str, bytes], whole: dict[str, bytes]) -> bool:
    """Whether every file has its content under its own name or, a program, under its new one."""
    for path, content in whole.items():
        names = [name for name in (path, f"{path}.rescued") if name in found]
        if len(names) != 1 or found[names[0]] != content or (names[0] != path and path not in HELD):
            return False
    return len(found) == len(whole)


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """A board without power is given up soon: nothing but the wait is shorter."""
    monkeypatch.setattr(rom_flash, "_WRITE", 0.3)
    monkeypatch.setattr(rom_flash, "_TRIES", 2)
    monkeypatch.setattr(rom_flash, "ANSWER", 0.3)


@pytest.mark.usefixtures("brief")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("step", [pytest.param(11, id="some"), pytest.param(1, id="every", marks=pytest.mark.long)])
def test_rename(board: VirtualBoard, tmp_path: Path, step: int) -> None:
    put(board, OWN | HELD)
    whole = files_of(board)
    board.snapshot("held")
    cuts = 0
    for operation in count(0, step):
        board.restore("held")
        board.power_on()
        board.cut(operation, seed=operation + 1)
        try:
            rename_through_loader(board, tmp_path)
        except TwinrootError:
            assert not board.powered
        if board.powered:
            break
        cuts += 1
        assert one_of_both(files_of(board), whole), f"after a cut in operation {operation}"
        board.heal()
        board.power_on()
        rename_through_loader(board, tmp_path)
        found = files_of(board)
        assert found == {f"{path}.rescued" if path in HELD else path: content for path, content in whole.items()}
        board.power_off()
    assert cuts >= 34 // step, "two folders' blocks of an erase and sixteen pages each"


def test_only_what_is_needed(board: VirtualBoard, tmp_path: Path) -> None:
    """Two blocks are written for two names, the firmware is not among them, and a few KB are read."""
    put(board, OWN | HELD)
    firmware = board.read_flash(0, 0x200000)
    board.power_on()
    board.clear_counters()
    written = rename_through_loader(board, tmp_path)
    counters = board.counters()
    assert len(written) == counters["flash_erases"] == 2
    assert board.read_flash(0, 0x200000) == firmware
