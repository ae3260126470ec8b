"""Reports from a real broker, over verified TLS; the stand-in's."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.cli.main import run
from provisioning.fleet import broker
from provisioning.standin import StandIn
from tests.standin.conftest import Client
from tests.support import fleet_lines
from tests.support.fleet_lines import A1, ATS, G5

TOLD = {"s": 1, "p": 1, "v": 3, "m": "1.26.1", "o": "ats,legacy", "l": "ats", "r": {"ats": [4, 0]}, "a": {A1: 4}}


@pytest.fixture(scope="module")
def cloud() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture
def product(cloud: StandIn, tmp_path: Path) -> Path:
    route = cloud.route("ats")
    file = tmp_path / "product.yaml"
    file.write_text(fleet_lines.PRODUCT + f'lab: {{resolve: {{"{ATS}:8883": "{route["host"]}:{route["port"]}"}}}}\n')
    (tmp_path / "devices.csv").write_text("device\nws-1\n")
    return file


def listen(cloud: StandIn, product: Path, *arguments: str, host: str = ATS, root: str | None = None) -> list[str]:
    certificate, key = cloud.issue("listener")
    ca = cloud.roots[root or cloud.route("ats")["root"]]
    tls = ["--certificate", str(certificate), "--key", str(key), "--ca", str(ca)]
    place = str(product.with_name("ledger.sqlite"))
    return ["migrate", "collect", str(product), "--ledger", place, "--json", "--mqtt", host, *tls, *arguments]


def result(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_reports_until_there_are_enough(
    cloud: StandIn, product: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no report is named, and the rest goes on; the level of the + is the device."""
    said = threading.Event()
    sent = {"devices/ws-2/health": TOLD, "devices/ws-3/health": {"l": 7}, "devices/ws-4/health": {"device": "ws-9", **TOLD}}

    def publish() -> None:
        assert said.wait(20)
        for topic, payload in sent.items():
            Client(cloud).publish(topic, json.dumps(payload).encode())

    messages = broker.messages
    monkeypatch.setattr(broker, "messages", lambda source, say: messages(source, lambda text: (say(text), said.set())))
    sender = threading.Thread(target=publish)
    sender.start()
    began = int(time.time())
    assert run(listen(cloud, product, "--reports", "3", "--for", "60")) == 0
    sender.join()
    found = result(capsys)
    assert found["reports"]["mqtt"] == 2 and found["bad"] == ["ws-3: the report has no 'routes'"]
    assert found["devices"] == 3, "the list's, and two that reported"
    place = str(product.with_name("ledger.sqlite"))
    assert run(["migrate", "status", str(product), "--ledger", place, "--device", "ws-2", "--json"]) == 0
    one = result(capsys)
    assert one["seen"] >= began and (one["root"], one["source"], one["version"]) == (A1, "mqtt", 3)


def test_it_ends_after_its_time(cloud: StandIn, product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(listen(cloud, product, "--for", "0.2")) == 0
    assert result(capsys)["reports"]["mqtt"] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        ({"root": G5}, "mqtt-failed", "certificate verify failed"),
        ({"host": "another.example:8883"}, "mqtt-failed", ""),
        ({"topic": "a/#/b"}, "bad-arguments", "not a filter of MQTT"),
        ({"host": ":0"}, "bad-arguments", "HOST"),
    ],
)
def test_what_cannot_be_heard(
    cloud: StandIn, product: Path, capsys: pytest.CaptureFixture[str], arguments: dict[str, str], code: str, why: str
) -> None:
    if "root" in arguments:
        arguments = {"root": cloud.route("legacy")["root"]}
    topic = ("--topic", arguments["topic"]) if "topic" in arguments else ()
    more = {name: value for name, value in arguments.items() if name != "topic"}
    assert run(listen(cloud, product, "--for", "1", *topic, **more)) in (2, 3)
    found = result(capsys)
    assert found["code"] == code and why in found["message"]
