"""Power goes in each flash operation of a slot switch, a rollback and a health write: afterwards the board holds the old
state or the new one, and connects. In the jail every operation is cut (a torn write programs half of its bytes)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.device import sets
from tests.device.jail import Board
from tests.device.test_sets import PROVEN_1, TRY, bad_set
from tests.device.world import ATS, LEGACY, World

CUT = 86  # exit code of the jail when the power went

SWITCH = "import twinroot; twinroot.slots.commit(2)"
# The set has lost its comparisons for hours: this one rolls back, and writes what has to outlive damage, health and the pointer.
ROLLBACK = TRY % 1
HEALTH = """
import twinroot
twinroot.stats.data()
twinroot.stats.good("ats", "Ats", 800000000)
twinroot.stats.save(True)
"""
ROUTES = b'"routes":{"ats":{"good":5,"bad":0}},"roots":{}'
TRIAL_2 = {"/trust/health.json": b'{"v":1,"proven":1,"last":"ats","since":0,%s,"trial":[2,3,1700000000]}' % ROUTES}


def state(board: Board) -> tuple[int, dict[str, Any]]:
    d = board.run(TRY % 1).json
    assert d["out"][0][0] == "ok", d
    health = board.tree().get("/trust/health.json", b"{}")
    return d["out"][0][3], json.loads(health)


@pytest.mark.parametrize("what", ["switch", "rollback", "health"])
def test_cut_at_every_operation(tmp_path: Path, what: str) -> None:
    world = World(tmp_path)
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        one = world.build(1, ats.address, legacy.address)
        two = world.build(2, ats.address, legacy.address)
        failing = bad_set(world, 2, ats, legacy)
        script, tree, before, after = {
            "switch": (SWITCH, sets.board(1, one, two) | PROVEN_1, 1, 2),
            "rollback": (ROLLBACK, sets.board(2, one, failing) | TRIAL_2, 1, 1),
            "health": (HEALTH, sets.board(1, one) | PROVEN_1, 1, 1),
        }[what]
        board = Board(world.folder / "board", tree)
        start = board.image.read_bytes()
        seen: set[int] = set()
        cuts = 0
        while True:
            board.image.write_bytes(start)
            done = board.run(script, cut=cuts)
            if done.code != CUT:
                assert done.code == 0, done.out + done.err
                break
            cuts += 1
            active, health = state(board)
            assert active in (before, after)
            seen.add(active)
            assert health["proven"] == active
        assert cuts >= 4, "that many operations at least"
        assert before in seen
        assert state(board)[0] == after, "without a cut the operation is done"
        print(f"{what}: {cuts} cuts")


@pytest.mark.parametrize(
    "what", ["switch", pytest.param("rollback", marks=pytest.mark.long), pytest.param("health", marks=pytest.mark.long)]
)
def test_cut_on_the_virtual_board(tmp_path: Path, make_virtual_board: Callable[..., Any], what: str) -> None:
    """The same on the virtual board's flash, whose programs and erases are torn at random places."""
    from tests.device.virtual import Virtual, read

    world = World(tmp_path)
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        one = world.build(1, ats.address, legacy.address)
        two = world.build(2, ats.address, legacy.address)
        script, tree, after = {
            "switch": (SWITCH, sets.board(1, one, two) | PROVEN_1, 2),
            "rollback": (ROLLBACK, sets.board(2, one, bad_set(world, 2, ats, legacy)) | TRIAL_2, 1),
            "health": (HEALTH, sets.board(1, one) | PROVEN_1, 1),
        }[what]
        board = make_virtual_board(paced=False, clock="host", flash_timing="none")
        device = Virtual(board)
        device.put(tree)
        board.snapshot()
        seen = set()
        for operations in range(60):
            board.power_off()
            board.restore()
            if not device.cut(script, operations):
                break
            active = int(read(board)["/trust/active"])
            seen.add(active)
            out = json.loads(device.lines(TRY % 1)[-1])["out"][0]
            assert out[0] == "ok", out
            assert out[3] == (1 if what == "rollback" else active)
        assert operations >= 4
        assert seen <= {1, 2}
        assert int(read(board)["/trust/active"]) == after, "without a cut the operation is done"
