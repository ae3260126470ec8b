"""A set with a renewed device certificate is proven by a server that accepts it, not by the handshake alone: real TLS, a broker that looks
at the certificate as AWS IoT does."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.device import sets
from tests.device.broker import Broker
from tests.device.jail import Board
from tests.device.test_adapter import AS, peers
from tests.device.test_sets import PROVEN_1, guarded
from tests.device.world import ATS, LEGACY, World
from tests.support import pki

# Time and ticks that a script can move; sleeping takes none.
TIME = """
import sys, utime as _t
class utime:
    skew = late = 0
    gmtime, ticks_add, ticks_diff = _t.gmtime, _t.ticks_add, _t.ticks_diff
    def ticks_ms():
        return _t.ticks_add(_t.ticks_ms(), utime.late)
    def time():
        return _t.time() + utime.skew
    def sleep_ms(ms):
        utime.late += ms
sys.modules["utime"] = utime
"""
CONNECT = """
import json, twinroot
out = []
for i in range(%d):
    try:
        c = twinroot.mqtt(timeout=5)
        out.append(["ok", twinroot.SET])
        c.publish("t", b"x", qos=1)
        c.disconnect()
        del c
    except OSError as e:
        out.append([e.kind, twinroot.SET])
    utime.skew += 3700
h = twinroot.health()
print(json.dumps([out, twinroot.slots.active(), h["proven"], h.get("trial"), twinroot.guard.proven(2)]))
"""


class Picky(Broker):
    """Accepts the certificates of `wanted`; `closes`: others are refused as by TLS 1.3, whose client is ready before the server is."""

    wanted: frozenset[bytes] = frozenset()
    closes = False

    def answer(self, tls: ssl.SSLSocket, head: int, body: bytes) -> bool:
        wanted = tls.getpeercert(binary_form=True) in self.wanted
        self.connack = 0 if wanted else None if self.closes else 5
        return super().answer(tls, head, body)


class Bench:
    """Set 1 is proven, with the old certificate; set 2 has the new one, over the same key."""

    def __init__(self, folder: Path) -> None:
        self.world, self.broker = World(folder), Picky()
        self.old = self.world.device
        self.new = pki.client("t-1", self.world.devices)
        assert self.old.key is self.new.key and self.old.pem != self.new.pem
        self.ats = self.world.server(ATS, self.world.ats, self.broker.behaviour(self.world.context(ATS, self.world.ats)))
        self.legacy = self.world.server(LEGACY, self.world.legacy)

    def board(self, device: pki.Cert, **more: Any) -> Board:
        one = self.world.build(1, self.ats.address, self.legacy.address)
        self.world.device = device
        two = self.world.build(2, self.ats.address, self.legacy.address, **more)
        return Board(self.world.folder / "board", sets.board(2, one, two) | PROVEN_1 | {"/trust/1/proven": b""})

    def accept(self, *certificates: pki.Cert) -> None:
        self.broker.wanted = frozenset(c.der for c in certificates)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    with made.ats, made.legacy:
        yield made


def test_a_certificate_that_is_accepted_proves_its_set(bench: Bench) -> None:
    bench.accept(bench.old, bench.new)
    board = bench.board(bench.new)
    assert board.run(TIME + CONNECT % 1).json == [[["ok", 2]], 2, 2, None, True]


@pytest.mark.parametrize("refused", ["in the handshake", "after the handshake", "instead of a CONNACK"])
def test_one_that_is_refused_goes_back_after_hours(bench: Bench, refused: str) -> None:
    bench.accept(bench.old)
    bench.broker.closes = refused == "after the handshake"
    if refused == "in the handshake":  # TLS 1.2: the server does not know the CA
        bench.new = pki.client("t-1", pki.root("Another Device CA"))
    board = bench.board(bench.new)
    assert board.run(TIME + CONNECT % 4).json == [[["ok", 1]] * 4, 2, 1, [2, 3, board.run(TIME + HEALTH).json], False]
    out, active, proven, trial, _ = board.run((TIME + CONNECT % 1).replace("skew = late = 0", "skew = 5 * 3700\n    late = 0")).json
    assert (out, active, proven, trial) == ([["ok", 1]], 1, 1, None)
    assert guarded(board)["refused"] == 2
    # And with the old one alone it lives on.
    assert board.run(TIME + CONNECT % 1).json[:3] == [[["ok", 1]], 1, 1]


HEALTH = "import json, twinroot\nprint(json.dumps(twinroot.health()['trial'][2]))"


def test_a_broker_that_wants_neither_says_nothing_about_the_new_one(bench: Bench) -> None:
    board = bench.board(bench.new)
    out, active, proven, trial, _ = board.run(TIME + CONNECT % 5).json
    assert (out, active, proven, trial) == ([["refused", 2]] * 5, 2, 1, None)
    assert board.run(TIME + CONNECT % 1).json[0] == [["refused", 2]]
    bench.accept(bench.new)
    assert board.run(TIME + CONNECT % 1).json == [[["ok", 2]], 2, 2, None, True]


def test_accepted_in_the_end_is_proven(bench: Bench) -> None:
    """The cloud learns of the new certificate a day late; the board stands in with the old one, and comes back."""
    bench.accept(bench.old)
    board = bench.board(bench.new)
    assert board.run(TIME + CONNECT % 2).json[0] == [["ok", 1]] * 2
    bench.accept(bench.old, bench.new)
    assert board.run((TIME + CONNECT % 1).replace("skew = late = 0", "skew = 9 * 3700\n    late = 0")).json == [
        [["ok", 2]],
        2,
        2,
        None,
        True,
    ]


RAW = """
import json, twinroot
h = lambda: twinroot.health()["proven"]
link = twinroot.connect()
link.close()
link = twinroot.connect()
a = h()
link.accepted()
b = h()
link.accepted()
print(json.dumps([a, b, twinroot.guard.proven(2)]))
"""


def test_a_raw_stream_is_proven_by_a_call(bench: Bench) -> None:
    assert bench.board(bench.old).run(RAW).json == [2, 2, True], "the same certificate: as ever, by the handshake"
    assert bench.board(bench.new).run(RAW).json == [1, 2, True]


LOST = {"/trust/health.json": b"{}"}


def test_lost_counters_do_not_prove_it(bench: Bench) -> None:
    board = bench.board(bench.new)
    board.put(LOST)
    assert board.run(RAW).json == [0, 2, True]


LASTS = """
import json, twinroot
a = twinroot.connect()
out = [twinroot.health()["proven"]]
utime.late += 200000
a.wire.dead = True  # the server ends it
twinroot.connect()
print(json.dumps(out + [twinroot.health()["proven"]]))
"""


def test_what_lasts_is_proven(bench: Bench) -> None:
    board = bench.board(bench.new)
    assert board.run(TIME + LASTS).json == [1, 2]


@pytest.mark.parametrize("accepted", [True, False])
def test_mqtt_as(bench: Bench, accepted: bool) -> None:
    bench.accept(bench.old, *([bench.new] if accepted else []))
    board = bench.board(bench.new)
    board.put(peers())
    tail = '\nimport json\nprint(json.dumps([twinroot.SET, twinroot.health()["proven"], "trial" in twinroot.health()]))'
    assert board.run(AS % bench.ats.port + tail).json == ([2, 2, False] if accepted else [1, 1, True])


@pytest.mark.parametrize("accepted", [True, False])
def test_verify_asks_the_broker(bench: Bench, accepted: bool) -> None:
    bench.accept(bench.old, *([bench.new] if accepted else []))
    board = bench.board(bench.new)
    report = board.run("import json, twinroot\nprint(json.dumps(twinroot.selftest(True)))").json
    assert (report["set"], report["proven"], report["connect"]["ok"], report["ok"]) == (2, 2 if accepted else 1, accepted, accepted)
    if not accepted:
        assert report["connect"]["kind"] == "refused" and "CONNACK 5" in report["connect"]["error"]
    kind, body = bench.broker.packets[0]
    assert (kind, body[7] & 2) == (0x10, 0), "what the application has subscribed stays"


def test_in_a_small_heap(bench: Bench) -> None:
    """The comparison needs little more than that of a set which fails in the handshake (88 KB here, where a word is twice an ESP32's)."""
    bench.accept(bench.old)
    done = bench.board(bench.new).run("import twinroot\nc = twinroot.mqtt(timeout=5)\nprint(twinroot.SET)", heap="96K")
    assert done.out.split() == ["1"], done.out
