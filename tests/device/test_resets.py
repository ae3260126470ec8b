"""A board that resets itself again and again: its attempts and its flash writes stay bounded, and a person's power-on starts afresh."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from tests.device import sets
from tests.device.broker import Broker
from tests.device.jail import Board
from tests.device.virtual import Virtual
from tests.device.world import ATS, LEGACY, World

POWER_ON, HARD, WATCHDOG, DEEP_SLEEP, SOFT = 1, 2, 3, 4, 5  # machine.reset_cause()

# One boot: how long the back-off holds the first pass, and one pass. Clock.DAYS moves the clock, the network is as told.
BOOT = """
import json, sys
class machine:
    def reset_cause():
        return %d
sys.modules["umachine"] = machine
import twinroot
twinroot.core.CONFIRM_MS = 0
real = twinroot.clock.now
twinroot.clock.now = lambda: real() + 86400 * %d
held = twinroot.core.pause()
twinroot.core._next = None  # it has been waited for
kind = "ok"
try:
    %s
except OSError as e:
    kind = e.kind
print(json.dumps([held, kind, twinroot.health().get("fails")]))
"""
CONNECT = "twinroot.connect(wait=False).close()"


def boot(board: Board, cause: int, what: str = CONNECT, days: int = 0) -> list[Any]:
    """[ms that the first pass had to wait, what came of it, what is told about failures]."""
    out: list[Any] = board.run(BOOT % (cause, days, what)).json
    return out


def told(board: Board) -> Any:
    return json.loads(board.tree()["/trust/health.json"])


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_back_off_goes_on_over_resets(world: World) -> None:
    """The board that resets after each failure waits as one that does not; it writes that ten times at most."""
    with world.server(ATS, world.ats, lambda c: None) as ats, world.server(LEGACY, world.legacy) as legacy:
        board = world.board(ats, legacy)
        waits = [boot(board, POWER_ON)[0]] + [boot(board, HARD if i % 2 else WATCHDOG)[0] for i in range(11)]
        assert waits[0] == 0
        for i, ms in enumerate(waits[1:]):
            most = min(200, 2 ** min(i, 10)) * 1000
            assert most * 3 / 4 - 300 <= ms <= most, f"reset {i + 1}: {waits}"
        before = board.image.read_bytes()
        assert boot(board, HARD)[0] > 149_000, "it stays at the longest"
        assert board.image.read_bytes() == before, "and is written no more"
        assert told(board)["day"][1] == 10
        assert legacy.count == 0

        assert boot(board, POWER_ON)[0] == 0, "somebody switched it on and waits"
        assert boot(board, DEEP_SLEEP)[0] == 0, "the application paces itself"
        assert boot(board, SOFT)[0] > 0

        world_again = world.context(ATS, world.ats)
        ats.behaviour = Broker().behaviour(world_again)
        held, kind, fails = boot(board, HARD)
        assert (held > 0, kind, fails) == (True, "ok", None)
        assert "fails" not in told(board)
        assert boot(board, HARD)[0] == 0, "a board that is well does not wait"


def test_a_refusal_is_not_forgotten_with_the_handshake_that_follows(world: World) -> None:
    """The usual crash loop: the broker refuses the certificate, the application resets. Each boot begins with a good handshake."""
    broker = Broker(connack=5)
    with world.server(ATS, world.ats, broker.behaviour(world.context(ATS, world.ats))) as ats, world.server(LEGACY, world.legacy) as legacy:
        board = world.board(ats, legacy)
        mqtt = "twinroot.mqtt().publish(b't', b'x', qos=1)"
        out = [boot(board, HARD, mqtt) for _ in range(6)]
        assert [kind for _, kind, _ in out] == ["refused"] * 6
        assert [fails for _, _, fails in out] == [[1, i + 1, 0] for i in range(6)]
        assert all(a < b for (a, _, _), (b, _, _) in pairwise(out)), out
        broker.connack = 0
        assert boot(board, HARD, mqtt)[1:] == ["ok", None]
        assert boot(board, HARD, mqtt)[0] == 0


def test_a_new_set_does_not_wait_for_the_failures_of_the_one_before(world: World) -> None:
    with world.server(ATS, world.ats, lambda c: None) as ats, world.server(LEGACY, world.legacy) as legacy:
        board = world.board(ats, legacy)
        for _ in range(3):
            boot(board, HARD)
        assert boot(board, HARD)[0] > 0
        board.put(world.build(2, ats.address, legacy.address) | {"/trust/active": b"2"})
        assert boot(board, HARD)[0] == 0


FLAP = """
import json, twinroot
twinroot.core.CONFIRM_MS = 0
real = twinroot.clock.now
twinroot.clock.now = lambda: real() + 86400 * %d
for i in range(%d):  # of each, a boot's worth: nothing stays in RAM
    twinroot.core._set, twinroot.core._stage, twinroot.stats._d = None, 0, None
    link = twinroot.connect(wait=False, prefer=True)
    d = twinroot.stats.data()
    d["last"] = "legacy" if i & 1 else "ats"  # as if the route had changed
    twinroot.stats.save(True)
print(json.dumps(twinroot.health()["day"]))
"""


def test_writes_of_a_day_are_bounded_over_resets(world: World) -> None:
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        board = world.board(ats, legacy)
        day, writes = board.run(FLAP % (0, 60)).json
        assert writes == 48
        before = board.image.read_bytes()
        assert board.run(FLAP % (0, 5)).json == [day, 48]
        assert board.image.read_bytes() == before, "a reset brings no more writes"
        assert board.run(FLAP % (1, 5)).json[0] == day + 1
        assert board.image.read_bytes() != before, "the next day does"


def test_a_clock_that_no_handshake_has_proven_begins_no_day(world: World) -> None:
    with world.server(ATS, world.ats, lambda c: None) as ats, world.server(LEGACY, world.legacy) as legacy:
        board = world.board(ats, legacy)
        spent = json.dumps({"v": 1, "proven": 1, "last": "ats", "since": 0, "day": [20000, 48], "routes": {}, "roots": {}})
        board.put({"/trust/health.json": spent.encode()})
        before = board.image.read_bytes()
        for days in (0, 1, 400, -400):
            assert boot(board, HARD, days=days)[1] == "network"
        assert board.image.read_bytes() == before


TICKS = """
import json, twinroot
from twinroot import core, failing, stats
DAY = 86400000
now = 1000
period = 1 << 30  # a 32-bit board's
core.ticks_ms = failing.ticks_ms = stats.ticks_ms = lambda: now %% period
failing.ticks_add = lambda a, b: (a + b) %% period
core.ticks_diff = failing.ticks_diff = stats.ticks_diff = lambda a, b: (a - b + period // 2) %% period - period // 2
held = []
try:
    twinroot.connect(wait=False)
except OSError:
    pass
for day in range(0, 40):
    held.append(core.pause())
    now += DAY
    core._next = core._next or failing.ticks_add(1000, 700)
stats.save(True)
wrote = []
stats.write = lambda: wrote.append(now)
for hour in range(1000):
    now += 3600000 * 5
    stats.save()
    stats._at = 0
    stats.data()["day"][1] = 0
print(json.dumps([held, len(wrote)]))
"""


def test_ticks_that_come_round_hold_nothing(world: World) -> None:
    """Ticks of a 32-bit board have a sign that turns after 6 days: a back-off of last week is not one of the next."""
    with world.server(ATS, world.ats, lambda c: None) as ats, world.server(LEGACY, world.legacy) as legacy:
        held, _ = world.board(ats, legacy).run(TICKS.replace("%%", "%")).json
        assert held[0] > 0
        assert held[1:] == [0] * 39


RESET = """
import twinroot, machine, json
twinroot.core.CONFIRM_MS = 0
held = twinroot.core.pause()
try:
    twinroot.connect(timeout=2, wait=False)
except OSError as e:
    print(json.dumps([machine.reset_cause(), held, e.kind]))
"""


def test_on_the_virtual_board(tmp_path: Path, make_virtual_board: Callable[..., Any]) -> None:
    """machine.reset() of the board, not a fake: the cause and the file survive it, a power cycle changes the cause."""
    world = World(tmp_path)
    with world.server(ATS, world.ats, lambda c: None) as ats, world.server(LEGACY, world.legacy) as legacy:
        device = Virtual(make_virtual_board(paced=False, clock="host"))
        device.put(sets.board(1, world.build(1, ats.address, legacy.address)))
        first = json.loads(device.lines(RESET)[-1])
        again = []
        for _ in range(3):
            with open_port(device.board.pty) as wire:
                repl = RawRepl(wire)
                repl.enter()
                repl.start("import machine; machine.reset()")
                repl = device.prompt(wire, power=False)
                again.append(json.loads(repl.run(RESET, 30).decode().splitlines()[-1]))
        last = json.loads(device.lines(RESET)[-1])
    assert first == [POWER_ON, 0, "network"]
    assert [a[0] for a in again] == [HARD] * 3
    assert 0 < again[0][1] < again[1][1] < again[2][1]
    assert last == [POWER_ON, 0, "network"]
