"""One rule says which sets stay on a device: an update by cable, one over the air and the host's question see the same ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provisioning.link.staying_sets import AT_ONCE, staying
from tests.device import sets
from tests.device.jail import ROOT, Board

ROUTES = [sets.route("ats", "abc-ats.iot.us-east-1.amazonaws.com", [])]
GOOD = object()
CUT, EMPTY, OTHER, ABSENT = b'{"files":{', b"", b"[]", None  # what may lie where a set.json should

BY_CABLE = """
def beat():
    pass
%s
look()
n = now
stay = sorted([m for m in kept(0) if sets[m]])
tidy()
print(ujson.dumps([n, stay, sorted([m for m in sets if sets[m]])]))
"""
OVER_THE_AIR = """
import json, os, twinroot
report = twinroot.selftest()
twinroot.ota.tidy()
print(json.dumps([report, sorted([int(d) for d in os.listdir("/trust") if d.isdigit()])]))
"""


def board(folder: Path, active: bytes | None, proven: int, there: dict[int, object]) -> Board:
    health = {"v": 1, "proven": proven, "last": None, "since": 0, "day": [0, 0], "routes": {}, "roots": {}}
    made = {"/trust/active": active, "/trust/health.json": json.dumps(health).encode() if proven else None}
    tree = {**sets.loader(), **{path: data for path, data in made.items() if data is not None}}
    for number, state in there.items():
        files = sets.build(number, ROUTES, {})
        if state is not GOOD:
            files[f"/trust/{number}/set.json"] = state if isinstance(state, bytes) else b""
        if state is ABSENT:
            files[f"/trust/{number}/left.pem"] = files.pop(f"/trust/{number}/set.json")
        tree |= files
    return Board(folder, tree)


@pytest.mark.parametrize(
    ("active", "proven", "there", "stay"),
    [
        (b"1", 0, {1: GOOD}, [1]),
        (b"4", 4, dict.fromkeys((1, 2, 3, 4), GOOD), [3, 4]),
        (b"4", 2, dict.fromkeys((1, 2, 3, 4), GOOD), [2, 3, 4]),
        (b"2", 0, dict.fromkeys((1, 2, 3), GOOD), [1, 2]),  # rolled back, or never committed
        (b"2", 3, dict.fromkeys((1, 2, 3), GOOD), [1, 2, 3]),
        (b"5", 1, {1: GOOD, 2: GOOD, 3: CUT, 4: EMPTY, 5: GOOD}, [1, 2, 5]),
        (b"4", 0, {1: GOOD, 2: GOOD, 3: ABSENT, 4: GOOD}, [2, 4]),
        (b"3", 3, {1: GOOD, 2: GOOD, 3: CUT}, [1, 2]),  # the active one is damaged, and was the proven one
        (b"3", 0, {1: GOOD, 2: OTHER, 3: EMPTY, 4: GOOD}, [1]),
        (b"2", 0, {2: CUT, 3: GOOD, 4: GOOD}, [3, 4]),  # none before it: the newest of all
        (b"9", 0, {1: GOOD, 2: GOOD, 3: GOOD}, [2, 3]),
        (b"", 0, {1: GOOD, 2: GOOD, 3: GOOD}, [2, 3]),
        (None, 1, {1: GOOD, 2: GOOD, 3: GOOD}, [1, 2, 3]),
    ],
)
def test_the_same_sets_stay(tmp_path: Path, active: bytes | None, proven: int, there: dict[int, object], stay: list[int]) -> None:
    source = "".join((ROOT / "firmware" / "link" / f"{name}.py").read_text("utf-8") for name in ("hello", "write", "sets"))
    in_use, by_cable, left = board(tmp_path / "cable", active, proven, there).run(BY_CABLE % source).json
    report, over_the_air = board(tmp_path / "air", active, proven, there).run(OVER_THE_AIR).json
    assert by_cable == left == over_the_air == stay
    assert in_use == report["set"]
    assert staying(report) & {number for number, state in there.items() if state is GOOD} == set(stay)
    assert len(stay) < AT_ONCE
