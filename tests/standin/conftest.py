"""A stand-in per module for tests that leave it as they found it, and a client that does what a device does."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from provisioning.standin import StandIn, mqtt

TIMEOUT = 10.0


@dataclass
class Client:
    """A device at the socket level: TLS 1.2 as the ESP32 has it, one root, a client certificate."""

    cloud: StandIn
    route: str = "ats"
    device: str | None = "ws-0001"
    root: str | None = None
    server_name: str | None = None
    tune: Callable[[ssl.SSLContext], None] = field(default=lambda _context: None)
    timeout: float = TIMEOUT

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(cafile=self.cloud.roots[self.root or self.cloud.route(self.route)["root"]])
        if self.device:
            context.load_cert_chain(*self.cloud.issue(self.device))
        self.tune(context)
        return context

    def connect(self) -> ssl.SSLSocket:
        route = self.cloud.route(self.route)
        plain = socket.create_connection((route["host"], route["port"]), timeout=self.timeout)
        try:
            return self.context().wrap_socket(plain, server_hostname=self.server_name or route["endpoint"])
        except BaseException:
            plain.close()
            raise

    def mqtt(self) -> tuple[ssl.SSLSocket, bytes]:
        """Connected, with what the broker answered to CONNECT (b"" when it closed)."""
        stream = self.connect()
        stream.sendall(mqtt.connect(self.device or "nobody"))
        return stream, stream.recv(64)

    def publish(self, topic: str, payload: bytes) -> None:
        stream, answer = self.mqtt()
        with stream:
            assert answer == mqtt.connack(0)
            stream.sendall(mqtt.publish(topic, payload))
            stream.sendall(mqtt.encode(mqtt.DISCONNECT))


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cloud")


@pytest.fixture(scope="module")
def shared(state: Path) -> Iterator[StandIn]:
    with StandIn(state, broker="amqtt") as standin:
        yield standin


@pytest.fixture
def cloud(shared: StandIn) -> Iterator[StandIn]:
    yield shared
    for route in ("ats", "legacy"):
        shared.scenario(route, "ok", drop=True)
    shared.clock()
