"""Memory is never evidence: with any amount of it at import and connect, a board uses the same set, raises an OSError, and works when there
is memory again."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.device import sets
from tests.device.jail import Board
from tests.device.world import ATS, LEGACY, World

# The heap is filled but for one piece of `left` bytes, in which twinroot is imported anew and connects.
SWEEP = """
import gc, json, sys
def filled(left):
    gc.collect()
    # Some small ones for the call and its exception: without them nothing can be said at all, not even MemoryError.
    kept, hog = [bytearray(left)] + [bytearray(300) for _ in range(8)], None
    for size in (4096, 512, 64, 1):
        try:
            while True:
                hog = [hog, bytearray(size)]
        except MemoryError:
            pass
    return hog
def freed(hog):
    # Link by link: the collector takes what looks like a pointer in an old stack frame for one, and would keep all of it.
    while hog:
        hog[1], hog = None, hog[0]
    gc.collect()
def forget():
    for name in list(sys.modules):
        if name == "twinroot" or name.startswith("twinroot."):
            sys.modules.pop(name, None)
def again():
    forget()
    t = __import__("twinroot")
    t.connect(timeout=5, wait=False).close()
    return t.SET, t.NOTE
def attempt():
    global t, what
    try:
        t = __import__("twinroot")
        t.connect(timeout=5, wait=False).close()
        what = "ok"
    except OSError as e:
        what = e
    except MemoryError:
        what = "import" if t is None else "MemoryError"
    except Exception as e:
        what = e
e = t = what = hog = set_ = name = None
out, odd, used = {"ok": 0, "import": 0, "memory": 0, 12: 0, "MemoryError": 0}, [], set()
FIRST, FROM, TO, STEP = %d, %d, %d, %d
for left in range(FROM, TO, STEP):
    forget()
    t = None
    if FIRST:  # imported with memory, connects without
        t = __import__("twinroot")
    hog = filled(left)
    attempt()
    freed(hog)
    hog = None
    gc.collect()
    set_ = t and t.SET
    if isinstance(what, OSError):
        what = getattr(what, "kind", None) or what.args[0]
    elif isinstance(what, Exception):
        what = repr(what)
    out[what] = out.get(what, 0) + 1
    if set_ not in (None, 2) or what not in ("ok", "import", "memory", 12):
        odd.append((left, what, set_))
    if left // STEP %% 10 == 0:
        used.add(again())
print(json.dumps([out, odd, list(used)]))
"""


def sweep(folder: Path, imported: bool, first: int, last: int, step: int) -> Any:
    world = World(folder)
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        one = world.build(1, ats.address, legacy.address)
        two = world.build(2, ats.address, legacy.address, change={"extra.mpy": sets.compiled()["core"]})
        # Nothing is written: the jail's flash is a program, too, and a full heap would tear its file system.
        health = {"v": 1, "proven": 2, "last": "ats", "since": 0, "day": [int(time.time()) // 86400, 48], "routes": {}, "roots": {}}
        board = Board(folder / "board", sets.board(2, one, two) | {"/trust/health.json": json.dumps(health).encode()})
        out = board.run(SWEEP % (imported, first, last, step), heap="160K", timeout=400).json
        assert legacy.count == 0, "another route"
        assert board.tree()["/trust/active"] == b"2"
        return out


def judge(out: dict[str, int], odd: list[Any], used: list[Any]) -> None:
    assert odd == []
    assert used == [[2, None]]


@pytest.mark.parametrize(("imported", "last", "step"), [(False, 72_000, 1997), (True, 30_000, 797)])
def test_any_amount_of_memory(tmp_path: Path, imported: bool, last: int, step: int) -> None:
    out, odd, used = sweep(tmp_path, imported, 0, last, step)
    print(out)
    judge(out, odd, used)
    assert out["ok"] >= 2 and (out["memory"] + out["12"] >= 8 if imported else out["import"] >= 5)


@pytest.mark.long
@pytest.mark.parametrize("imported", [False, True])
@pytest.mark.parametrize("first", range(0, 40_000, 10_000))
def test_every_amount_of_memory(tmp_path: Path, imported: bool, first: int) -> None:
    judge(*sweep(tmp_path, imported, first, first + 10_000, 32))
