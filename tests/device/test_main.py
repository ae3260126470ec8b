"""The user's guide is a program: firmware/main.py on the virtual board connects, publishes and survives."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioning.aws.topics import policy_document
from tests.device import sets
from tests.device.behaviours import reset
from tests.device.broker import Broker
from tests.device.jail import ROOT
from tests.device.server import Behaviour
from tests.device.virtual import Virtual
from tests.device.world import ATS, LEGACY, World
from tests.support.iot_policy import denied

MAIN = ROOT / "firmware" / "main.py"

RUN = """
import app, twinroot
app.EVERY_S = 0
twinroot.core.CONFIRM_MS = 0
app.run(6)
print(__import__("json").dumps(twinroot.health()))
"""


def test_it_is_short() -> None:
    assert len(MAIN.read_text().splitlines()) <= 34


def test_connect_publish_survive(tmp_path: Path, make_virtual_board: Callable[..., Any]) -> None:
    """The connection is reset, then the preferred route loses its root, then it is back: each reading arrives."""
    world, first, second = World(tmp_path), Broker(), Broker()
    good = world.context(ATS, world.ats)
    wrong = world.context(ATS, world.legacy)
    count = 0

    def ats(connection: socket.socket) -> None:
        nonlocal count
        count += 1
        if count == 1:  # two publishes, then the line is cut
            cut: Behaviour = Cut(first, 3).behaviour(good)
            cut(connection)
        else:
            first.behaviour(wrong)(connection)

    class Cut(Broker):
        def __init__(self, into: Broker, packets: int) -> None:
            super().__init__()
            self.into, self.left = into, packets
            self.packets = into.packets

        def answer(self, tls: Any, head: int, body: bytes) -> bool:
            if head >> 4 == 3:
                self.left -= 1
                if not self.left:
                    reset(tls)
                    return False
            return super().answer(tls, head, body)

    with world.server(ATS, world.ats, ats) as one, world.server(LEGACY, world.legacy) as two:
        two.behaviour = second.behaviour(world.context(LEGACY, world.legacy))
        tree = world.build(1, one.address, two.address)
        device = Virtual(make_virtual_board(paced=False, clock="host"))
        device.put(sets.board(1, tree) | {"/app.py": MAIN.read_bytes()})
        lines = device.lines(RUN)
    health = json.loads(lines[-1])
    assert not denied(policy_document("us-east-1", "aws"), first.packets + second.packets, "t-1")
    topics = [t for t, _, _ in first.published() + second.published()]
    assert topics.count("devices/t-1/reading") >= 6
    assert topics.count("devices/t-1/health") == 2, "one for each connection"
    assert {q for _, _, q in first.published() + second.published()} == {1}
    assert health["last"] == "legacy"
    assert health["routes"]["ats"]["err"] == "trust"
    assert any(line.startswith("network") for line in lines), "the cut line was reported, and survived"


CUT = """
import json, twinroot
c = twinroot.mqtt(callback=print)
out = []
try:
    c.publish("t", "x", qos=1)
except Exception as e:
    out.append([isinstance(e, OSError), repr(e)])
print(json.dumps(out))
"""


@pytest.mark.parametrize("answer", [b"\x30", b"\x30\x80", b"\x30\x0a\x00\x04ec", b"\x40", b"\x40\x02\x00"])
def test_an_end_within_a_packet_is_an_oserror(tmp_path: Path, make_virtual_board: Callable[..., Any], answer: bytes) -> None:
    """umqtt takes what it reads for whole; a loop that catches OSError has to survive that."""

    class Partly(Broker):
        def answer(self, tls: Any, head: int, body: bytes) -> bool:
            if head >> 4 == 3:
                tls.sendall(answer)
                return False
            return super().answer(tls, head, body)

    world = World(tmp_path)
    with (
        world.server(ATS, world.ats, Partly().behaviour(world.context(ATS, world.ats))) as one,
        world.server(LEGACY, world.legacy) as two,
    ):
        device = Virtual(make_virtual_board(paced=False, clock="host"))
        device.put(sets.board(1, world.build(1, one.address, two.address)))
        out = json.loads(device.lines(CUT)[-1])
    assert out and out[0][0], out
