"""Clients that an application already has, through the object they expect: umqtt.simple and robust (as the virtual board's firmware
has them), mqtt_as, asyncio streams. With TWINROOT_PEERS=folder the real umqtt/*.py and mqtt_as/__init__.py are used."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.device import sets
from tests.device.broker import Broker
from tests.device.virtual import Virtual
from tests.device.world import ATS, LEGACY, World

SIMPLE = """
import json, twinroot
from twinroot import adapter
from umqtt.%s import MQTTClient
context = adapter.Context(timeout=5)
got = []
c = MQTTClient("t-1", "127.0.0.1", port=%d, keepalive=60, ssl=context)
c.set_callback(lambda t, m: got.append(m.decode()))
c.connect()
c.subscribe(b"echo", 1)
c.publish(b"plain", b"one")
c.publish(b"sure", b"two", qos=1)
while len(got) < 2:
    c.wait_msg()
c.check_msg()
c.disconnect()
print(json.dumps([context.link.route, context.link.root, got]))
"""

AS = """
import json, asyncio, twinroot
from twinroot import adapter
from mqtt_as import MQTTClient, config
config.update({"client_id": "t-1", "server": "127.0.0.1", "port": %d, "keepalive": 60, "ssid": "x", "wifi_pw": "y"})
async def main():
    c = adapter.mqtt_as(MQTTClient)(config)
    await c.connect()
    await c.publish("plain", "one", False, 1)
    await c.disconnect()
    print(json.dumps(twinroot.health()["routes"]))
asyncio.run(main())
"""

STREAMS = """
import json, asyncio, twinroot
from twinroot import adapter
async def main():
    reader, writer = await adapter.streams(5)
    writer.write(b"\\x10\\x0f\\0\\4MQTT\\4\\2\\0\\x3c\\0\\3t-1")
    await writer.drain()
    a = await reader.readexactly(4)
    ticks = 0
    async def tick():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep_ms(20)
    t = asyncio.create_task(tick())
    try:
        await asyncio.wait_for(reader.readexactly(1), 0.3)
    except asyncio.TimeoutError:
        pass
    t.cancel()
    writer.close()
    print(json.dumps([list(a), ticks > 5]))
asyncio.run(main())
"""


def peers() -> dict[str, bytes]:
    """Files for /lib: the real ones when TWINROOT_PEERS is set, a stand-in for mqtt_as else."""
    folder = os.environ.get("TWINROOT_PEERS")
    if folder:
        return {f"/lib/{p.relative_to(folder)}": p.read_bytes() for p in Path(folder).rglob("*.py")}
    return {"/lib/mqtt_as.py": (Path(__file__).parent / "standin_as.py").read_bytes()}


@pytest.fixture
def run(tmp_path: Path, make_virtual_board: Callable[..., Any]) -> Callable[[str, bool], tuple[Any, Broker]]:
    def go(script: str, wrong: bool) -> tuple[Any, Broker]:
        world, broker = World(tmp_path), Broker()
        signer = world.legacy if wrong else world.ats
        with (
            world.server(ATS, signer, broker.behaviour(world.context(ATS, signer))) as ats,
            world.server(LEGACY, world.legacy, broker.behaviour(world.context(LEGACY, world.legacy))) as legacy,
        ):
            device = Virtual(make_virtual_board(paced=False, clock="host"))
            device.put(sets.board(1, world.build(1, ats.address, legacy.address)) | peers())
            text = script % ats.port if "%d" in script else script
            if os.environ.get("TWINROOT_PEERS"):  # instead of what the firmware has
                text = "import sys\nsys.path.insert(0, '/lib')\n[sys.modules.pop(m) for m in list(sys.modules) if 'umqtt' in m]\n" + text
            return json.loads(device.lines(text)[-1]), broker

    return go


@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.parametrize("module", ["simple", "robust"])
def test_umqtt(run: Any, module: str, wrong: bool) -> None:
    result, broker = run(SIMPLE.replace("%s", module), wrong)
    assert result == (["legacy", "Legacy", ["one", "two"]] if wrong else ["ats", "Ats", ["one", "two"]])
    assert broker.published() == [("plain", b"one", 0), ("sure", b"two", 1)]


@pytest.mark.parametrize("wrong", [False, True])
def test_mqtt_as(run: Any, wrong: bool) -> None:
    routes, broker = run(AS, wrong)
    assert routes["legacy" if wrong else "ats"]["good"] == 1
    assert broker.gone.wait(10), "the broker reads in its own time what was published with QoS 0"
    assert [p[:2] for p in broker.published()] == [("plain", b"one")]


def test_asyncio_streams_do_not_block(run: Any) -> None:
    connack, others_ran = run(STREAMS, False)[0]
    assert connack == [0x20, 2, 0, 0]
    assert others_ran
