"""Silence leads upward, on the real interpreter over real sockets; and a retired root does not come back through it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.device import sets
from tests.device.behaviours import at_once
from tests.device.jail import Board
from tests.device.server import echo
from tests.device.test_sets import HOURLY, PROVEN_1, TIME
from tests.device.world import ATS, LEGACY, World

# Passes 20 s apart: [what came of it, seconds since the first].
PASSES = (
    TIME
    + """
import json, twinroot
out = []
for i in range(%d):
    try:
        link = twinroot.connect(timeout=5, wait=False)
        what = link.route
        link.close()
    except OSError as e:
        what = e.kind
    out.append(what)
    utime.skew += %d
print(json.dumps([out, twinroot.health()]))
"""
)


def legacy_first(world: World, ats: str, legacy: str, standing: tuple[int, int] = (0, 2), **more: Any) -> dict[str, bytes]:
    routes = [
        {**sets.route("legacy", LEGACY, ["Legacy"]), "standing": standing[0]},
        {**sets.route("ats", ATS, ["Ats"]), "standing": standing[1]},
    ]
    lab = {"resolve": {f"{ATS}:8883": ats, f"{LEGACY}:8883": legacy}}
    return sets.build(1, routes, {"Ats": world.ats, "Legacy": world.legacy}, world.device, lab=lab, **more)


@pytest.mark.parametrize(
    ("standing", "policy", "moves"),
    [
        ((0, 2), {}, True),
        ((1, 2), {}, True),
        ((2, 2), {}, False),
        ((2, 0), {}, False),
        ((0, 2), {"silence": "never"}, False),
        ((2, 0), {"silence": "any"}, True),
    ],
)
def test_a_closed_endpoint(tmp_path: Path, standing: tuple[int, int], policy: dict[str, Any], moves: bool) -> None:
    """Legacy first, and its endpoint is switched off: online over ats after a minute, and never down without evidence."""
    world = World(tmp_path)
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy, at_once) as legacy:
        one = legacy_first(world, ats.address, legacy.address, standing, policy=policy)
        board = Board(tmp_path / "board", sets.board(1, one))
        out, health = board.run(PASSES % (6, 20)).json
        assert out == (["network"] * 3 + ["ats"] * 3 if moves else ["network"] * 6)
        assert ats.count == (3 if moves else 0)
        if moves:
            assert health["last"] == "ats"
            legacy.behaviour = echo(world.context(LEGACY, world.legacy))
            out, _ = board.run((PASSES % (3, 3700)).replace("skew = 0", "skew = 200")).json
            assert out == ["ats", "legacy", "legacy"], "the preferred route has its chance as ever"


def test_a_portal_at_the_other_end_changes_nothing(tmp_path: Path) -> None:
    """The route above is tried, and left where it was: moving takes a handshake that verifies in full."""
    world = World(tmp_path)
    with world.server(ATS, world.legacy) as ats, world.server(LEGACY, world.legacy, at_once) as legacy:
        board = Board(tmp_path / "board", sets.board(1, legacy_first(world, ats.address, legacy.address)))
        out, health = board.run(PASSES % (5, 40)).json
        assert out == ["network", "network", "trust", "trust", "trust"] and health["last"] is None
        legacy.behaviour = echo(world.context(LEGACY, world.legacy))
        assert board.run(PASSES % (1, 0)).json[0] == ["legacy"]


def test_silence_is_remembered_over_deep_sleep(tmp_path: Path) -> None:
    """A device that wakes for one pass an hour: the second one finds its way up."""
    world = World(tmp_path)
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy, at_once) as legacy:
        board = Board(tmp_path / "board", sets.board(1, legacy_first(world, ats.address, legacy.address)))
        assert board.run(PASSES % (1, 0)).json[0] == ["network"]
        assert board.run((PASSES % (1, 0)).replace("skew = 0", "skew = 3600")).json[0] == ["ats"]


def test_the_way_home_to_a_silent_endpoint(tmp_path: Path) -> None:
    """ats first, moved to legacy on evidence, and then ats falls silent: each hour one look, and no hour offline."""
    world = World(tmp_path)
    with world.server(ATS, world.legacy) as ats, world.server(LEGACY, world.legacy) as legacy:
        board = world.board(ats, legacy)
        assert board.run(PASSES % (2, 60)).json[0] == ["legacy", "legacy"]
        ats.behaviour = at_once
        out, health = board.run((PASSES % (4, 3700)).replace("skew = 0", "skew = 3700")).json
        assert out == ["legacy"] * 4 and health["last"] == "legacy"
        assert ats.count == 2 + 4


def test_a_retired_root_does_not_come_back(tmp_path: Path) -> None:
    """The new set retires the legacy root. A man in the middle who has its key silences ats; the set before would lead to him."""
    world = World(tmp_path)
    gone = hashlib.sha256(world.legacy.der).hexdigest()
    with world.server(ATS, world.ats, at_once) as ats, world.server(LEGACY, world.legacy) as middle:
        old = world.build(1, ats.address, middle.address)
        routes = [{**sets.route("ats", ATS, ["Ats"]), "standing": 2}]
        new = sets.build(2, routes, {"Ats": world.ats}, world.device, lab={"resolve": {f"{ATS}:8883": ats.address}}, retired=[gone])
        tree = {**PROVEN_1, "/trust/health.json": PROVEN_1["/trust/health.json"].replace(b'"ats"', b'"legacy"')}
        board = Board(tmp_path / "board", sets.board(2, old, new) | tree)
        d = board.run(HOURLY % 3).json
        assert [(o[0], o[3]) for o in d["out"]] == [("network", 2)] * 3
        assert middle.count == 0
        # Proven, and then damaged: what it has retired is kept elsewhere.
        ats.behaviour = echo(world.context(ATS, world.ats))
        assert board.run(HOURLY % 1).json["health"]["proven"] == 2
        board.put({"/trust/2/set.json": b"{"})
        d = board.run(HOURLY % 1).json
        assert d["out"][0][:2] == ["ok", "ats"] and d["out"][0][3] == 1, "ats of the old set, whose root is not retired"
        ats.behaviour = at_once
        d = board.run(HOURLY % 3).json
        assert {o[0] for o in d["out"]} == {"network"} and middle.count == 0
        # Without the list the old set would have led there.
        plain = {p: b for p, b in new.items() if not p.endswith("set.json")}
        info = {k: v for k, v in json.loads(new["/trust/2/set.json"]).items() if k != "retired"}
        control = Board(tmp_path / "control", sets.board(2, old, plain | {"/trust/2/set.json": json.dumps(info).encode()}) | tree)
        assert [o[:2] for o in control.run(HOURLY % 3).json["out"]][1:] == [["ok", "legacy"]] * 2
