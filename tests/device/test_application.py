"""The application in a set: /main.py runs main.py of the set in use, so that one pointer switches both (firmware/twinroot/app.py)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from provisioning.bundle.bundle import runner
from provisioning.link.port import open_port
from provisioning.ota import signed_set
from provisioning.virtual import VirtualBoard
from tests.device import sets
from tests.device.jail import Board, Run
from tests.device.test_ota import FEED, Fleet, container, vendor
from tests.device.test_power_cut import CUT
from tests.device.test_sets import PROVEN_1
from tests.device.virtual import Virtual

# What MicroPython does at power-on, without the prompt that follows; resets are counted, and end the run.
BOOT = """
import sys, json
class umachine:
    cause = %d
    def reset_cause():
        return umachine.cause
    def reset():
        print(json.dumps("reset"))
        raise SystemExit
sys.modules["umachine"] = umachine
execfile("/main.py")
"""
APP = """
import json, twinroot
link = twinroot.connect()
print(json.dumps([%r, twinroot.SET, __name__, link.route]))
"""
ONE, TWO = (APP % name for name in ("one", "two"))


def boot(board: Board, cause: int = 1) -> Run:
    return board.run(BOOT % cause)


class Bench:
    """Set 1 in use with `before` as /main.py, and version 2 with an application, as a container."""

    def __init__(self, fleet: Fleet, before: str | None = ONE, after: str | None = TWO, **change: Any) -> None:
        self.fleet = fleet
        self.container = container(self.set(2, after, **change), 2)
        tree = {"/main.py": before.encode()} if before else {}
        self.board = Board(fleet.folder, sets.board(1, fleet.old) | PROVEN_1 | tree | {"/update": self.container})

    def set(self, number: int, app: str | None = None, **change: Any) -> dict[str, bytes]:
        public = signed_set.public_numbers(vendor().public)
        code = app.encode() if app is not None else None
        return self.fleet.world.build(number, self.fleet.ats.address, self.fleet.legacy.address, app=code, vendor=public, **change)

    def update(self, container: bytes | None = None) -> list[Any]:
        if container:
            self.board.put({"/update": container})
        said: list[Any] = self.board.run(FEED % 512).json
        return said


@pytest.fixture
def bench(fleet: Fleet) -> Bench:
    return Bench(fleet)


def test_it_changes_with_its_set_and_goes_back_with_it(bench: Bench) -> None:
    assert boot(bench.board).json[:2] == ["one", 1]
    assert bench.update() == ["done", 2, 2]
    tree = bench.board.tree()
    assert tree["/main.py"] == runner() and tree["/trust/1/main.py"].decode() == ONE and tree["/trust/2/main.py"].decode() == TWO
    assert not [path for path in tree if path.endswith((".new", "/runner"))]
    assert boot(bench.board).json == ["two", 2, "__main__", "ats"]
    report = bench.board.run("import json, twinroot; print(json.dumps(twinroot.selftest()))").json
    assert report["ok"] and report["proven"] == 2, report
    bench.board.run("import twinroot; twinroot.slots.commit(1)")
    assert boot(bench.board).json[:2] == ["one", 1]


def test_a_board_without_an_application_gets_one(fleet: Fleet) -> None:
    made = Bench(fleet, before=None)
    assert made.update() == ["done", 2, 2]
    assert boot(made.board).json[:2] == ["two", 2]


def test_a_set_without_one_keeps_the_one_before(bench: Bench) -> None:
    bench.update()
    for number in (3, 4, 5):  # more than stay on a board
        assert bench.update(container(bench.set(number, change={f"x{number}.mpy": b"x"}), number)) == ["done", number, number]
        assert boot(bench.board).json[:2] == ["two", number]
    assert bench.board.run("import json, twinroot; print(json.dumps(twinroot.selftest()))").json["ok"]


CRASHES = "import json; print(json.dumps('crashes')); 1 / 0"
LATE = TWO + "1 / 0"


@pytest.mark.parametrize("app", ["def", CRASHES, "import nothing", LATE, "open('gone')"])
def test_one_that_crashes_three_times_is_rolled_back_and_refused(fleet: Fleet, app: str) -> None:
    """Though it has connected before that, as LATE has."""
    made = Bench(fleet, after=app)
    assert made.update() == ["done", 2, 2]
    for _ in range(3):
        done = boot(made.board)
        assert done.json == "reset" and "Traceback" in done.out
    assert boot(made.board).json[:2] == ["one", 1]
    assert "not newer" in made.update()[0]
    assert made.update(container(made.set(3, TWO), 3))[0] == "done"
    assert boot(made.board).json[:2] == ["two", 3 - 1 if "/trust/3/main.py" not in made.board.tree() else 3]


def test_its_watchdog_counts_as_a_crash(fleet: Fleet) -> None:
    made = Bench(fleet, after="print('\"hangs\"')")
    made.update()
    assert [boot(made.board, cause).json for cause in (1, 3, 3)] == ["hangs"] * 3
    assert boot(made.board, 3).json == "reset"
    assert boot(made.board, 1).json[:2] == ["one", 1]


def test_crashes_that_are_over_are_forgotten(fleet: Fleet) -> None:
    """Two crashes, then a start that connects: what comes later is the application's own affair."""
    app = "import uos\nif 'crash' in uos.listdir('/'): 1 / 0\n" + TWO
    made = Bench(fleet, after=app)
    made.update()
    made.board.put({"/crash": b""})
    for _ in range(2):
        assert boot(made.board).json == "reset"
    made.board.run("import uos; uos.remove('/crash')")
    for _ in range(2):
        assert boot(made.board).json[:2] == ["two", 2]
    assert "/trust/2/crashes" not in made.board.tree()
    made.board.put({"/crash": b""})
    for _ in range(4):
        assert "ZeroDivisionError" in boot(made.board).out
    assert "/trust/2/crashes" not in made.board.tree()


@pytest.mark.parametrize("app", ["raise KeyboardInterrupt", "raise SystemExit", "import twinroot\nraise twinroot.NetworkError(1, 'x')"])
def test_what_is_no_crash(fleet: Fleet, app: str) -> None:
    made = Bench(fleet, after=app)
    made.update()
    for _ in range(4):
        boot(made.board)
    tree = made.board.tree()
    assert tree["/trust/active"] == b"2" and "/trust/2/crashes" not in tree


def test_a_damaged_one_is_left_for_the_one_before(bench: Bench) -> None:
    bench.update()
    boot(bench.board)
    bench.board.put({"/trust/2/main.py": b"def"})
    for _ in range(3):
        assert boot(bench.board).json == "reset"
    assert boot(bench.board).json[:2] == ["one", 1]


def test_a_file_of_the_users_at_the_root_of_a_board_with_applications_in_sets(bench: Bench) -> None:
    """What somebody puts into /main.py by hand runs until the next update; the set before stays what it was."""
    bench.update()
    bench.board.put({"/main.py": (APP % "hand").encode()})
    assert boot(bench.board).json[0] == "hand"
    assert bench.update(container(bench.set(3, APP % "three"), 3))[0] == "done"
    assert boot(bench.board).json[:2] == ["three", 3]
    assert bench.board.tree()["/trust/2/main.py"].decode() == TWO


def cut_everywhere(bench: Bench, step: int) -> tuple[int, set[str]]:
    """Cuts the power in every `step`th flash operation of an update with an application: how many cuts, and what ran after them."""
    board = bench.board
    start, at = board.image.read_bytes(), 0
    seen = set()
    while True:
        board.image.write_bytes(start)
        done = board.run(FEED % 4096, cut=at)
        if done.code != CUT:
            break
        name, number, *_ = boot(board).json
        assert (name, number) in (("one", 1), ("two", 2)), (at, name, number)
        seen.add(name)
        if at // step % 4 == 0 and number == 1:
            assert board.run(FEED % 4096).json[0] == "done", "the next try takes it, whatever the cut left behind"
            assert boot(board).json[:2] == ["two", 2]
        at += step
    assert done.json[0] == "done"
    assert boot(board).json[:2] == ["two", 2]
    return at // step, seen


def test_power_cut(bench: Bench) -> None:
    cuts, seen = cut_everywhere(bench, 11)
    assert cuts >= 5 and "one" in seen


@pytest.mark.long
def test_power_cut_at_every_operation(bench: Bench) -> None:
    cuts, seen = cut_everywhere(bench, 1)
    print(cuts, "cuts")
    assert cuts >= 50 and seen == {"one", "two"}


def started(board: VirtualBoard) -> list[Any]:
    """Power on, no prompt asked for: what the application says before the board gives one."""
    board.power_off()
    with open_port(board.pty) as wire:
        wire.discard()
        board.power_on()
        said = wire.until(b">>> ", 20.0).decode(errors="replace")
    lines = [line for line in said.splitlines() if line.startswith("[")]
    assert len(lines) == 1, said
    found: list[Any] = json.loads(lines[0])
    return found


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("step", [17, pytest.param(1, marks=pytest.mark.long)])
def test_power_cut_on_the_virtual_board(bench: Bench, make_virtual_board: Callable[..., VirtualBoard], step: int) -> None:
    """The same on NOR flash whose programs and erases are torn at random places, and from power-on by MicroPython's own start."""
    board = make_virtual_board(paced=False, clock="host", flash_timing="none")
    device = Virtual(board)
    device.put(bench.board.tree())
    board.snapshot()
    seen, at = set(), step // 2
    while True:
        board.power_off()
        board.restore()
        if not device.cut(FEED % 4096, at):
            break
        name, number, _, route = started(board)
        assert (name, number, route) in (("one", 1, "ats"), ("two", 2, "ats")), (at, name, number, route)
        seen.add(name)
        if at // step % 4 == 0 and number == 1:
            assert json.loads(device.lines(FEED % 4096)[-1])[0] == "done", at
            assert started(board)[:2] == ["two", 2]
        at += step
    print(at // step, "cuts:", seen)
    assert at // step >= 5 and "one" in seen and (step > 1 or seen == {"one", "two"})
    assert started(board)[:2] == ["two", 2], "without a cut"
