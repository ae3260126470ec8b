"""mqtt(): publish, subscribe, refusal, the way to the other route; over real TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.device.broker import Broker
from tests.device.jail import Board
from tests.device.server import Server
from tests.device.world import ATS, LEGACY, World

PUBLISH = """
import json, twinroot
got = []
c = twinroot.mqtt(callback=lambda t, m: got.append([t.decode(), m.decode()]), keepalive=30,
                  last_will=("will", "gone", True, 1))
c.subscribe("echo", 1)
c.publish("plain", "zero")
c.publish(b"sure", b"x" * 300, qos=1)
c.ping()
while len(got) < 2:
    c.wait_msg()
c.disconnect()
print(json.dumps([c.link.route, got]))
"""


def mixed(tmp_path: Path, broker: Broker, wrong: bool = False) -> tuple[World, Server, Server]:
    world = World(tmp_path)
    signer = world.legacy if wrong else world.ats
    ats = world.server(ATS, signer, broker.behaviour(world.context(ATS, signer)))
    legacy = world.server(LEGACY, world.legacy, broker.behaviour(world.context(LEGACY, world.legacy)))
    return world, ats, legacy


def run(tmp_path: Path, broker: Broker, script: str, wrong: bool = False) -> Any:
    world, ats, legacy = mixed(tmp_path, broker, wrong)
    with ats, legacy:
        board: Board = world.board(ats, legacy)
        return board.run(script).json


def test_publish_and_subscribe(tmp_path: Path) -> None:
    broker = Broker()
    route, got = run(tmp_path, broker, PUBLISH)
    assert route == "ats"
    assert broker.published() == [("plain", b"zero", 0), ("sure", b"x" * 300, 1)]
    assert got == [["echo", "zero"], ["echo", "x" * 300]]
    connect = broker.packets[0][1]
    assert connect == b"\0\4MQTT\4" + bytes((0x2E,)) + b"\0\x1e" + b"\0\3t-1" + b"\0\4will" + b"\0\4gone"


def test_failover(tmp_path: Path) -> None:
    broker = Broker()
    route, _ = run(tmp_path, broker, PUBLISH, wrong=True)
    assert route == "legacy"
    assert len(broker.published()) == 2


REFUSED = """
import json, twinroot
try:
    twinroot.mqtt()
except OSError as e:
    print(json.dumps([type(e).__name__, e.kind, str(e), twinroot.health()["routes"]]))
"""


def test_connack_refused(tmp_path: Path) -> None:
    name, kind, text, routes = run(tmp_path, Broker(connack=5), REFUSED)
    assert (name, kind) == ("RefusedError", "refused")
    assert "CONNACK" in text and "policy" in text
    assert list(routes) == ["ats"], "a refusal is no reason to try the other route"


def test_closed_after_connect(tmp_path: Path) -> None:
    name, kind, _, routes = run(tmp_path, Broker(connack=None), REFUSED)
    assert (name, kind, list(routes)) == ("RefusedError", "refused", ["ats"])
