"""What a device meets in ten years and a server cannot bring about: a full heap at the wrong moment, a set that cannot be used, code that
changes under a client that goes on."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.device import sets
from tests.device.broker import Broker
from tests.device.jail import Board
from tests.device.test_sets import PROVEN_1, bad_set
from tests.device.world import ATS, LEGACY, World
from tests.support import pki


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


NO_MEMORY = """
import json, twinroot
class Json:
    def dumps(d):
        raise MemoryError("memory allocation failed")
twinroot.stats.ujson = Json
link = twinroot.connect()
link.sock.write(b"ping")
print(json.dumps([link.route, str(link.sock.read(4), "ascii"), "health.json" in __import__("os").listdir("/trust")]))
"""


def test_too_little_memory_for_the_counters_costs_the_counters(world: World) -> None:
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        assert world.board(ats, legacy).run(NO_MEMORY).json == ["ats", "ping", False]


NOTHING_FITS = """
import json, sys, twinroot
class Full:
    def __init__(self, name):
        self.name = name
real = __import__
def refuse(name, *rest):
    if name.startswith("twinroot.") and name[9:] in %r:
        raise MemoryError("memory allocation failed")
    return real(name, *rest)
import builtins
builtins.__import__ = refuse
out = []
for call in (twinroot.connect, twinroot.mqtt):
    try:
        call()
        out.append("ok")
    except OSError as e:
        out.append([type(e).__name__, getattr(e, "kind", None), e.args[0]])
builtins.__import__ = real
out.append(twinroot.connect().route)
print(json.dumps(out))
"""


def test_a_module_that_does_not_fit_is_an_oserror(world: World) -> None:
    """Loops that catch OSError survive it, and the next attempt works."""
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        out = world.board(ats, legacy).run(NOTHING_FITS % (("core",),)).json
    assert out == [["OSError", None, 12]] * 2 + ["ats"]


EMPTY_LOOK_UP = """
import json, twinroot
class Socket:
    from socket import socket
    def getaddrinfo(*_):
        return []
twinroot.tlslink.usocket = Socket
try:
    twinroot.connect()
except OSError as e:
    print(json.dumps([e.kind, e.route]))
"""


def test_a_look_up_that_answers_nothing(world: World) -> None:
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        assert world.board(ats, legacy).run(EMPTY_LOOK_UP).json == ["network", "ats"]


MQTT = """
import json, twinroot
twinroot.core.CONFIRM_MS = 0
c = twinroot.mqtt()
c.publish(b"t", b"x", qos=1)
print(json.dumps([twinroot.SET, c.link.route, c.client_id, twinroot.health()["trial"][:2], twinroot.slots.active()]))
"""


@pytest.mark.parametrize("routes", [[], [{"name": "ats"}], [{"name": "ats", "host": ATS, "port": 8883, "roots": []}]])
def test_a_set_without_usable_routes_is_left_by_mqtt_too(world: World, routes: list[Any]) -> None:
    """Signed by mistake and sent over the air: the set before stands in at once."""
    with (
        world.server(ATS, world.ats, Broker().behaviour(world.context(ATS, world.ats))) as ats,
        world.server(LEGACY, world.legacy) as legacy,
    ):
        one = world.build(1, ats.address, legacy.address)
        lab = {"resolve": {f"{ATS}:8883": ats.address}}
        two = sets.build(2, routes, {"Ats": world.ats}, world.device, lab=lab)
        out = Board(world.folder / "board", sets.board(2, one, two) | PROVEN_1).run(MQTT).json
    assert out == [1, "ats", "t-1", [2, 0], 2]


SURVIVOR = """
import json, twinroot
twinroot.core.CONFIRM_MS = 0
old = twinroot.core
c = twinroot.session._kind(twinroot.client._base(False))("t-1", keepalive=60)
out = []
for i in range(6):
    try:
        twinroot.core._next = None
        c.connect()
        c.publish(b"t", b"x", qos=1)
        out.append([twinroot.SET, c.link.route, twinroot.core._link is c.link])
    except OSError as e:
        twinroot.core._next = None
        out.append([twinroot.SET, e.kind])
out.append([twinroot.core is old, old._link is None])
print(json.dumps([out, twinroot.health()["proven"], "trial" in twinroot.health()]))
"""


class Counting(Broker):
    """How many sessions were open at once."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        self.open = self.most = 0

    def behaviour(self, made: ssl.SSLContext) -> Any:
        inner = super().behaviour(made)

        def behave(connection: socket.socket) -> None:
            with self.lock:
                self.open += 1
                self.most = max(self.most, self.open)
            try:
                inner(connection)
            finally:
                with self.lock:
                    self.open -= 1

        return behave


def test_a_client_outlives_the_package_it_came_with(world: World) -> None:
    """A rollback within connect() brings other code; the client goes on with that, its file and its one session."""
    broker = Broker()
    with (
        world.server(ATS, world.ats, broker.behaviour(world.context(ATS, world.ats))) as ats,
        world.server(LEGACY, world.legacy) as legacy,
    ):
        one = world.build(1, ats.address, legacy.address)
        two = bad_set(world, 2, ats, legacy, change={"extra.mpy": sets.compiled()["core"]})
        out, proven, trial = Board(world.folder / "board", sets.board(2, one, two) | PROVEN_1).run(SURVIVOR).json
    assert out == [[1, "ats", True]] * 6 + [[False, True]]
    assert (proven, trial) == (1, True)


RESTART = """
import json, twinroot
from twinroot import ota
c = twinroot.mqtt()
c.publish(b"t", b"x", qos=1)
ota.restart()
try:
    c.publish(b"t", b"y", qos=1)
    end = "open"
except (OSError, AttributeError):
    end = "closed"
d = twinroot.mqtt()
d.publish(b"t", b"z", qos=1)
print(json.dumps([end, d.link.route]))
"""


def test_restart_ends_the_session(world: World) -> None:
    """Memory of an ESP32 holds one."""
    with (
        world.server(ATS, world.ats, Broker().behaviour(world.context(ATS, world.ats))) as ats,
        world.server(LEGACY, world.legacy) as legacy,
    ):
        assert world.board(ats, legacy).run(RESTART).json == ["closed", "ats"]


LOAD = """
import json, twinroot
from binascii import hexlify
out = []
for name in %r:
    try:
        out.append(str(hexlify(twinroot.tlslink.der("/" + name, b"CERTIFICATE")), "ascii"))
    except ValueError as e:
        out.append(str(e))
print(json.dumps(out))
"""


def test_forms_of_a_certificate_file(world: World) -> None:
    """As people and tools write them: DER, line ends of Windows, text before, a key before, a chain, a last line without its end."""
    root = pki.root("Root")
    pem, der = root.pem, root.der
    key = root.key_pem
    good = {
        "plain": pem,
        "der": der,
        "crlf": pem.replace(b"\n", b"\r\n"),
        "text": b"Subject: CN=Root\n  30 82\n\n" + pem,
        "after a key": key + pem,
        "chain": pem + pki.root("Other").pem,
        "no end": pem.rstrip(),
        "spaces": pem.replace(b"\n", b" \n", 3),
        "blank lines": pem.replace(b"-----\n", b"-----\n\n", 1),
    }
    bad = {"empty": b"", "key only": key, "garbage": b"\xff\xfe\x00" * 50, "cut": pem[: len(pem) // 2]}
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        board = world.board(ats, legacy)
        board.put({f"/{n}": d for n, d in (good | bad).items()})
        out = board.run(LOAD % list(good | bad)).json
    assert dict(zip(good, out, strict=False)) == {n: der.hex() for n in good}
    assert out[len(good) :] == ["invalid PEM"] * len(bad)
