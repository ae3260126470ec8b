"""Just-in-time provisioning: AWS closes the connection by which a device introduces itself, and takes the next ones. The real package
connects again by itself, soon, and its set loses nothing by that."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.device import sets
from tests.device.broker import Broker
from tests.device.jail import ROOT, Board
from tests.device.world import ATS, LEGACY, World

LOOPS = {
    "main.py": """
import app
app.EVERY_S = 0
app.run(2)
""",
    "robust": """
c = None
while c is None:
    try:
        c = twinroot.mqtt(robust=True)
    except OSError as e:
        kinds.append(e.kind)
c.publish("devices/t-1/reading", b"1", qos=1)
""",
}
RUN = """
import json, twinroot, utime
kinds = []
begin = utime.ticks_ms()
%s
print(json.dumps([utime.ticks_diff(utime.ticks_ms(), begin), twinroot.slots.active(), twinroot.guard.read()["refused"], twinroot.health()]))
"""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("closed", [1, pytest.param(3, marks=pytest.mark.long)])
def test_a_device_that_is_closed_at_first_comes_again(tmp_path: Path, loop: str, closed: int) -> None:
    world, refuses, takes = World(tmp_path), Broker(connack=None), Broker(echo=False)
    tls = world.context(ATS, world.ats)
    seen = 0

    def behave(connection: socket.socket) -> None:
        nonlocal seen
        seen += 1
        (refuses if seen <= closed else takes).behaviour(tls)(connection)

    with world.server(ATS, world.ats, behave) as ats, world.server(LEGACY, world.legacy) as legacy:
        # A new set, on trial, with a different one before it that could be compared with.
        old = world.build(1, ats.address, legacy.address)
        new = world.build(2, ats.address, legacy.address)
        app = {"/app.py": (ROOT / "firmware" / "main.py").read_bytes()}
        board = Board(tmp_path / "board", sets.board(2, old, new) | app)
        ms, active, refused, health = json.loads(board.run(RUN % LOOPS[loop]).out.splitlines()[-1])
    assert seen == closed + 1 and legacy.count == 0
    assert len(refuses.packets) == closed and all(head >> 4 == 1 for head, _ in refuses.packets)
    assert takes.published() and (active, refused) == (2, 0)
    assert "trial" not in health and health["proven"] == 2 and health["last"] == "ats"
    assert health["routes"]["ats"]["bad"] == closed and health["routes"]["ats"]["err"] == "refused"
    print(f"{loop}: {closed} closed, {ms} ms")
    assert ms < 1000 * 2 ** (closed + 1) + 20_000  # 1, 2, 4 s, and what a busy computer takes
