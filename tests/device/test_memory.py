"""Memory is never evidence: with any amount of it at import, connect() and mqtt(), a board uses the same set, raises an OSError, and works
when there is memory again."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.device import sets
from tests.device.broker import Broker
from tests.device.jail import Board
from tests.device.world import ATS, LEGACY, World

# Each amount in an interpreter of its own. The heap is filled to the last block but for one piece of `left` bytes: nothing is set aside for
# the call or for an exception, so that stepping by one block makes each allocation in turn the first that fails.
SWEEP = """
import gc, json, sys
def filled(left):
    hole, hog = bytearray(left), None
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
def use():
    if MQTT:
        c = t.mqtt()
        c.publish(b"t", b"x", qos=1)
        c.disconnect()
    else:
        t.connect().close()
def attempt():
    global t, what
    try:
        t = __import__("twinroot")
        use()
        what = "ok"
    except OSError as e:
        what = e
    except MemoryError:
        what = "MemoryError" if t else "import"
    except Exception as e:
        what = e
t = what = hog = number = None
CALL, LEFT = %r, %d
MQTT = CALL == "mqtt"
if CALL != "import":  # imported with memory, used without
    t = __import__("twinroot")
hog = filled(LEFT)
gc.collect()
attempt()
freed(hog)
hog = None
gc.collect()
number = t and t.SET
if isinstance(what, OSError):
    what = getattr(what, "kind", None) or what.args[0]
elif isinstance(what, Exception):
    what = repr(what)
t = __import__("twinroot")
if "twinroot.core" in sys.modules:
    t.core._next = None  # nobody waits here
use()
print(json.dumps([str(what), number in (None, 2) and (t.SET, t.NOTE) == (2, None)]))
"""
# Memory in which the call itself cannot be made: its arguments are laid out before the package has a say.
NO_CALL = 160


def sweep(folder: Path, call: str, amounts: Iterable[int]) -> Counter[str]:
    """How often each end was met: "ok", the kind of an error, "12" for OSError(12), "import" for a MemoryError of the import."""
    world = World(folder)
    broker = Broker(echo=False).behaviour(world.context(ATS, world.ats))
    with world.server(ATS, world.ats, broker) as ats, world.server(LEGACY, world.legacy) as legacy:
        one = world.build(1, ats.address, legacy.address)
        two = world.build(2, ats.address, legacy.address, change={"extra.mpy": sets.compiled()["core"]})
        # Nothing is written: the jail's flash is a program, too, and a full heap would tear its file system.
        health = {"v": 1, "proven": 2, "last": "ats", "since": 0, "day": [int(time.time()) // 86400, 48], "routes": {}, "roots": {}}
        board = Board(folder / "board", sets.board(2, one, two) | {"/trust/health.json": json.dumps(health).encode()})
        ends: Counter[str] = Counter()
        for left in amounts:
            end, same = board.run(SWEEP % (call, left), heap="160K").json
            assert same, f"{left} bytes: another set"
            assert end in ("ok", "import", "memory", "12") or (end == "MemoryError" and left < NO_CALL), f"{left} bytes: {end}"
            ends[end] += 1
        assert legacy.count == 0, "another route"
        assert board.tree()["/trust/active"] == b"2"
    print(call, ends)
    return ends


# How much of the heap the call takes from its first allocation to its last.
MOST = {"import": 36_000, "connect": 30_000, "mqtt": 36_000}


@pytest.mark.parametrize("call", MOST)
def test_any_amount_of_memory(tmp_path: Path, call: str) -> None:
    ends = sweep(tmp_path, call, [*range(0, MOST[call], 1997), *(range(1920, 2208, 64) if call == "connect" else ())])
    assert ends["ok"] >= 1
    assert ends["import"] >= 5 if call == "import" else ends["memory"] + ends["12"] >= 8


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("call", MOST)
def test_every_amount_of_memory(tmp_path: Path, call: str, part: int) -> None:
    """Block by block: each allocation is once the first that fails."""
    sweep(tmp_path, call, range(32 * part, MOST[call], 128))
