"""The two brokers, seen from a device: the same. mosquitto is tested where it is installed."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.errors import StationError
from provisioning.standin import StandIn, limits, mqtt
from provisioning.standin.broker import search_path
from tests.standin.conftest import Client

MOSQUITTO = shutil.which("mosquitto", path=search_path())


@pytest.fixture(scope="module", params=["amqtt", "mosquitto"])
def cloud(request: pytest.FixtureRequest) -> Iterator[StandIn]:
    if request.param == "mosquitto" and not MOSQUITTO:
        pytest.skip("mosquitto is not installed")
    with StandIn(broker=request.param) as standin:
        assert standin.info["broker"] == request.param
        yield standin


def test_publish_and_subscribe_with_each_quality_of_service(cloud: StandIn) -> None:
    stream, answer = Client(cloud, "legacy", device="listener").mqtt()
    parser = mqtt.Parser()
    with stream:
        assert answer == mqtt.connack(0)
        stream.sendall(mqtt.subscribe("q/+"))
        stream.recv(64)
        sender, _ = Client(cloud, "ats").mqtt()
        with sender:
            sender.sendall(mqtt.publish("q/0", b"zero"))
            sender.sendall(mqtt.encode(mqtt.PUBLISH, b"\0\3q/1" + b"\0\7" + b"one", 0b0010))
            assert sender.recv(64) == mqtt.encode(mqtt.PUBACK, b"\0\7")
            heard: list[tuple[str, bytes]] = []
            while len(heard) < 2:
                heard += [mqtt.published(packet) for packet in parser.feed(stream.recv(256))]
    assert heard == [("q/0", b"zero"), ("q/1", b"one")]
    assert cloud.wait_message(topic="q/1")["payload"] == "one"


def test_a_large_message_in_small_pieces(cloud: StandIn) -> None:
    payload = os.urandom(60_000).hex().encode()
    packet = mqtt.publish("large", payload)
    stream, _ = Client(cloud).mqtt()
    with stream:
        for start in range(0, len(packet), 1000):
            stream.sendall(packet[start : start + 1000])
        seen = cloud.wait_message(topic="large")
    assert seen["payload"].encode() == payload


def test_a_second_connection_takes_the_client_id_over(cloud: StandIn) -> None:
    first, _ = Client(cloud, "ats", device="twice").mqtt()
    with first:
        Client(cloud, "legacy", device="twice").publish("taken/over", b"1")
        assert cloud.wait_message(topic="taken/over")["route"] == "legacy"
        assert first.recv(16) == b""


def test_many_devices_at_once(cloud: StandIn) -> None:
    count = 30
    cloud.issue("many")
    after = len(cloud.messages())
    streams = [Client(cloud, ("ats", "legacy")[number % 2], device="many").connect() for number in range(count)]
    for number, stream in enumerate(streams):
        stream.sendall(mqtt.connect(f"many-{number}"))
    for number, stream in enumerate(streams):
        assert stream.recv(16) == mqtt.connack(0)
        stream.sendall(mqtt.publish("many", b"%d" % number))
    for number, stream in enumerate(streams):
        seen = cloud.wait_message(topic="many", payload=str(number), after=after)
        assert (seen["client"], seen["route"]) == (f"many-{number}", ("ats", "legacy")[number % 2])
        stream.close()


def heard(stream, wanted: int) -> list[tuple[str, bytes]]:
    parser, got = mqtt.Parser(), []
    while len(got) < wanted:
        data = stream.recv(4096)
        assert data, got
        got += [mqtt.published(packet) for packet in parser.feed(data) if packet.kind == mqtt.PUBLISH]
    return got


def test_a_retained_message_goes_to_whoever_asks_for_it(cloud: StandIn) -> None:
    sender, _ = Client(cloud).mqtt()
    with sender:
        sender.sendall(mqtt.encode(mqtt.PUBLISH, b"\0\4kept" + b"old", 0b0001))
        cloud.wait_message(topic="kept")
    stream, answer = Client(cloud, "legacy", device="new-here").mqtt()
    with stream:
        assert answer == mqtt.connack(0)
        stream.sendall(mqtt.encode(mqtt.PINGREQ))
        # Nothing came before the answer to this: it has subscribed to nothing.
        assert stream.recv(64) == mqtt.encode(mqtt.PINGRESP)
        stream.sendall(mqtt.subscribe("kept"))
        assert heard(stream, 1) == [("kept", b"old")]
    with Client(cloud).mqtt()[0] as sender:
        sender.sendall(mqtt.encode(mqtt.PUBLISH, b"\0\4kept", 0b0001))  # an empty one takes it back
        cloud.wait_message(topic="kept", payload="")


def wait_for(cloud: StandIn, outcome: str, reason: str) -> None:
    """Returns when the stand-in has said that it did not take a packet: the event comes on another way than the end of the connection."""
    deadline = time.monotonic() + 10
    while not any(event["outcome"] == outcome and reason in event["reason"] for event in cloud.connections()):
        assert time.monotonic() < deadline, cloud.connections()[-5:]
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (mqtt.publish("big", bytes(limits.PAYLOAD + 1)), "131073 bytes to big"),
        (mqtt.publish("$aws/things/x/shadow/update", b"{}"), "reserved"),
        (mqtt.publish("/".join("abcdefghi"), b"x"), "7 slashes"),
        (mqtt.publish("x" * 257, b"x"), "256 bytes"),
        (mqtt.encode(mqtt.SUBSCRIBE, b"\0\1" + b"\0\1a\0" * 9, 0b0010), "at most 8"),
    ],
    ids=["payload", "reserved", "slashes", "topic", "filters"],
)
def test_what_aws_refuses_ends_the_connection(cloud: StandIn, packet: bytes, reason: str) -> None:
    stream, _ = Client(cloud).mqtt()
    with stream:
        stream.sendall(packet)
        assert stream.recv(16) == b""
    wait_for(cloud, "closed", reason)


def test_the_largest_message_of_all_arrives(cloud: StandIn) -> None:
    Client(cloud).publish("largest", b"x" * limits.PAYLOAD)
    assert len(cloud.wait_message(topic="largest")["payload"]) == limits.PAYLOAD


def test_qos_2_is_left_without_an_answer(cloud: StandIn) -> None:
    stream, _ = Client(cloud).mqtt()
    with stream:
        stream.sendall(mqtt.encode(mqtt.PUBLISH, b"\0\3two" + b"\0\7" + b"x", 0b0100))
        stream.sendall(mqtt.encode(mqtt.SUBSCRIBE, b"\0\1\0\3two\2", 0b0010))
        stream.sendall(mqtt.encode(mqtt.PINGREQ))
        assert stream.recv(64) == mqtt.encode(mqtt.PINGRESP)
    wait_for(cloud, "ignored", "a message with QoS 2")
    wait_for(cloud, "ignored", "a subscription with QoS 2")
    assert not [message for message in cloud.messages() if message["topic"] == "two"]


def test_mqtt_5_is_refused_in_its_own_words(cloud: StandIn) -> None:
    with Client(cloud).connect() as stream:
        stream.sendall(mqtt.encode(mqtt.CONNECT, b"\0\4MQTT\5\2\0\0\0\0\4five"))
        assert stream.recv(16) == b"\x20\x03\x00\x84\x00"
        assert stream.recv(16) == b""
    wait_for(cloud, "closed", "MQTT 5")


@pytest.mark.skipif(not MOSQUITTO, reason="mosquitto is not installed")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_mosquitto_outlives_the_stand_in(how: signal.Signals) -> None:
    cloud = StandIn(broker="mosquitto").start()
    try:
        children = Path(f"/proc/{cloud.pid}/task/{cloud.pid}/children").read_text().split()
        assert children
        os.kill(cloud.pid, how)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and any(Path(f"/proc/{child}").exists() for child in children):
            time.sleep(0.02)
        assert not any(Path(f"/proc/{child}").exists() for child in children)
    finally:
        cloud.stop()


def _program(folder: Path, text: str) -> Path:
    program = folder / "mosquitto"
    program.write_text(f"#!{sys.executable}\n{text}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.mark.parametrize(
    "text", ["import sys; sys.exit('Error: Unknown configuration variable')", "import time; time.sleep(60)"], ids=["ends", "hangs"]
)
def test_a_mosquitto_that_does_not_start_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PATH", f"{_program(tmp_path, text)}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(StationError) as failed, StandIn(tmp_path / "state", broker="mosquitto"):
        pass
    assert failed.value.code == "cloud-broker"
    assert "amqtt" in failed.value.hint


def test_mosquitto_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    if MOSQUITTO:
        pytest.skip("mosquitto is installed")
    done = subprocess.run(
        [sys.executable, "-m", "provisioning", "cloud", "--broker", "mosquitto"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 3
    assert "--broker amqtt" in done.stderr
