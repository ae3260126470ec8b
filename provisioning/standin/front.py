"""One endpoint: takes connections, behaves as its scenario says, ends mutual TLS, and passes MQTT on to the broker.

The scenario is looked up for each connection, so an endpoint is broken and repaired while everything else goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from provisioning.errors import StationError
from provisioning.standin import limits, mqtt, ports, tcp_faults
from provisioning.standin.broker import Broker
from provisioning.standin.chains import Chains
from provisioning.standin.event_log import EventLog
from provisioning.standin.scenarios import SCENARIOS, Scenario
from provisioning.standin.tls import TlsStream

HOST = "127.0.0.1"
_BACKLOG = 64
# Seconds for a client to finish its handshake; longer than any client's own patience.
_HANDSHAKE_TIMEOUT = 60.0


# Why a session ended, in AWS IoT's words.
DUPLICATE = "DUPLICATE_CLIENTID"
_BY_CLIENT, _BY_SERVER = "CLIENT_INITIATED_DISCONNECT", "SERVER_INITIATED_DISCONNECT"
_CLIENT_ERROR, _SILENT = "CLIENT_ERROR", "MQTT_KEEP_ALIVE_TIMEOUT"


@dataclass
class Connection:
    """One client, and what is known of it so far."""

    scenario: Scenario
    socket: socket.socket
    task: asyncio.Task[None] | None = None
    sni: str | None = None
    certificate: str = ""
    fingerprint: str = ""
    client: str = ""
    ended: str = "CONNECTION_LOST"
    parser: mqtt.Parser = field(default_factory=mqtt.Parser)


@dataclass(frozen=True)
class Peer:
    """Who is at the other end of a connection: client identifier, and its certificate's SHA-256 and common name."""

    client: str
    fingerprint: str
    common_name: str


class Gate(Protocol):
    """The account behind the endpoints, as far as they need it."""

    def may_publish(self, peer: Peer, topic: str) -> str:
        """Why `peer` may not publish to a topic that begins with $; empty when it may."""

    def may_subscribe(self, peer: Peer, topic_filter: str) -> str:
        """Why `peer` may not subscribe to a filter that begins with $; empty when it may."""

    def connected(self, peer: Peer, session: object) -> None:
        """`peer` has sent CONNECT."""

    def disconnected(self, peer: Peer, session: object, reason: str) -> None:
        """`session` has ended; `reason` is one of those that AWS IoT names."""


class Clients:
    """Who is connected, over both endpoints. A client identifier that connects again ends its older connection: AWS IoT does so,
    MQTT-3.1.4-2 asks for it, and amqtt forgets it for clean sessions."""

    def __init__(self) -> None:
        self._serving: dict[str, asyncio.Task[None]] = {}

    def connected(self, client: str, task: asyncio.Task[None]) -> None:
        """`task` serves `client` from now on."""
        older = self._serving.get(client)
        if older is not None and older is not task:
            older.cancel(DUPLICATE)
        self._serving[client] = task
        task.add_done_callback(lambda done: self._forget(client, done))

    def _forget(self, client: str, task: asyncio.Task[None]) -> None:
        if self._serving.get(client) is task:
            del self._serving[client]


class Front:
    """The endpoint of one route."""

    def __init__(
        self, route: str, names: str, chains: Chains, broker: Broker, record: EventLog, clients: Clients, gate: Gate | None = None
    ) -> None:
        self.route = route
        self.scenario = SCENARIOS["ok"]
        self.port = 0
        self._names = names  # pattern of the names that this endpoint answers to, as its certificate has it
        self._chains = chains
        self._broker = broker
        self._record = record
        self._clients = clients
        self._gate = gate
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._serving: set[asyncio.Task[None]] = set()

    # -- the port ------------------------------------------------------------------------------------------------

    def bind(self, port: int) -> None:
        """Take the port (0: any free one) without answering on it yet. Raises StationError when it is in use."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        try:
            self.port = ports.bind(listener, HOST, port)
        except (OSError, OverflowError) as error:
            listener.close()
            raise StationError(
                "port-in-use",
                f"Port {port} on {HOST} cannot be used for route {self.route}: {getattr(error, 'strerror', None) or error}.",
                "Name another port, or 0 for any free one.",
            ) from error
        self._listener = listener

    def play(self, scenario: Scenario) -> None:
        """Behave as `scenario` from the next connection on. Raises StationError when the port was lost meanwhile."""
        if scenario.wire == "tls":
            self._chains.file(self.route, scenario)  # made now, not while a client waits
        was, self.scenario = self.scenario, scenario
        if scenario.wire == "refuse":
            if was.wire != "refuse" and self._accepting is not None:
                self._stop_accepting()
                # Bound and not listening: the port refuses, and stays ours.
                self.bind(self.port)
        elif self._accepting is None:
            self._listen()

    def _listen(self) -> None:
        if self._listener is None:
            raise StationError("cloud-stopped", f"Route {self.route} is stopped.", "Start the cloud stand-in again.")
        self._listener.listen(_BACKLOG)
        self._accepting = asyncio.create_task(self._accept(self._listener))

    def _stop_accepting(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            self._accepting = None
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    async def drop(self) -> None:
        """End every connection of this route."""
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def stop(self) -> None:
        self._stop_accepting()
        await self.drop()

    # -- a connection --------------------------------------------------------------------------------------------

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _address = await loop.sock_accept(listener)
            connection = Connection(self.scenario, client)
            connection.task = task = asyncio.create_task(self._serve(connection))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def _serve(self, connection: Connection) -> None:
        # A client may vanish at any moment: that is its right, and no error of ours.
        try:
            with contextlib.suppress(OSError):
                instead = tcp_faults.INSTEAD_OF_TLS.get(connection.scenario.wire)
                if instead:
                    self._tell(connection, connection.scenario.wire)
                    await instead(connection.socket)
                elif connection.scenario.pace or connection.scenario.records:
                    await self._shaped(connection)
                else:
                    await self._tls(connection, connection.socket)
        finally:
            connection.socket.close()

    def _tell(self, connection: Connection, outcome: str, reason: str = "", version: str | None = None) -> None:
        self._record.connection(
            route=self.route,
            scenario=connection.scenario.name,
            outcome=outcome,
            reason=reason,
            sni=connection.sni,
            certificate=connection.certificate,
            tls=version,
        )

    async def _shaped(self, connection: Connection) -> None:
        shaper = tcp_faults.Shaper(connection.socket, connection.scenario)
        try:
            await self._tls(connection, shaper.inner)
        finally:
            await shaper.finished()

    async def _tls(self, connection: Connection, server: socket.socket) -> None:
        """Shake hands on `server`, report how it went, then do what the scenario does after a good handshake."""

        def on_sni(name: str | None) -> bool:
            connection.sni = name
            return name is not None and fnmatch.fnmatchcase(name.lower(), self._names) and name.count(".") == self._names.count(".")

        stream = TlsStream(server, self._chains.context(self.route, connection.scenario, on_sni))
        try:
            try:
                await asyncio.wait_for(stream.handshake(), _HANDSHAKE_TIMEOUT)
            except ssl.SSLError as error:
                self._tell(connection, "handshake-failed", error.reason or str(error))
            except (OSError, asyncio.TimeoutError) as error:
                self._tell(connection, "handshake-broken", getattr(error, "strerror", None) or type(error).__name__)
            else:
                connection.certificate = stream.common_name
                connection.fingerprint = stream.fingerprint
                self._tell(connection, "connected", version=stream.version)
                await _AFTER[connection.scenario.after](self, connection, stream)
            await stream.finish()
        finally:
            stream.close()

    # -- after the handshake -------------------------------------------------------------------------------------

    async def _broker_after(self, connection: Connection, stream: TlsStream) -> None:
        """Carry bytes both ways until either side ends."""
        from_broker, to_broker = await self._broker.attach()

        async def up(data: bytes) -> None:
            try:
                for packet in connection.parser.feed(data):
                    if self._taken(connection, packet):
                        to_broker.write(mqtt.encode(packet.kind, packet.body, packet.flags))
            except (limits.Refused, mqtt.NotMqtt) as error:
                connection.ended = _CLIENT_ERROR
                self._tell(connection, "closed", str(error))
                if isinstance(error, limits.Refused) and error.answer:
                    await stream.write(error.answer)
                raise ConnectionAbortedError from error
            await to_broker.drain()

        pumps = [asyncio.create_task(_pump(stream.read, up)), asyncio.create_task(_pump(from_broker.read, stream.write))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if pumps[1].done() and not pumps[0].done():
                connection.ended = _SILENT  # the broker has closed, which it does by itself for that alone
        except asyncio.CancelledError as cancelled:
            connection.ended = cancelled.args[0] if cancelled.args else _BY_SERVER
            raise
        finally:
            if self._gate is not None and connection.client:
                self._gate.disconnected(_peer(connection), connection, connection.ended)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            to_broker.close()

    def _taken(self, connection: Connection, packet: mqtt.Packet) -> bool:
        """Whether the broker is to have it; notes who connects and what is published. Raises Refused, NotMqtt."""
        try:
            self._check(connection, packet)
        except limits.Ignored as ignored:
            self._tell(connection, "ignored", str(ignored))
            return False
        if packet.kind == mqtt.CONNECT:
            connection.client = mqtt.client_id(packet)
            if connection.task is not None:
                self._clients.connected(connection.client, connection.task)
            if self._gate is not None:
                self._gate.connected(_peer(connection), connection)
        elif packet.kind == mqtt.DISCONNECT:
            connection.ended = _BY_CLIENT
        elif packet.kind == mqtt.PUBLISH:
            topic, payload = mqtt.published(packet)
            self._record.came_in(self.route, connection.client, connection.certificate, topic, payload)
        return True

    def _check(self, connection: Connection, packet: mqtt.Packet) -> None:
        """Raises Refused, Ignored, NotMqtt."""
        gate = self._gate
        if gate is None:
            limits.check(packet)
            return
        peer = _peer(connection)
        limits.check(packet, lambda topic: gate.may_publish(peer, topic), lambda topic: gate.may_subscribe(peer, topic))

    async def _connack_after(self, connection: Connection, stream: TlsStream) -> None:
        if await _until_connect(connection, stream):
            self._tell(connection, "connack-5")
            await stream.write(mqtt.connack(mqtt.NOT_AUTHORIZED))

    async def _close_after(self, connection: Connection, stream: TlsStream) -> None:
        if await _until_connect(connection, stream):
            self._tell(connection, "closed-after-connect")

    async def _mute_after(self, _connection: Connection, stream: TlsStream) -> None:
        while await stream.read(4096):
            pass


_AFTER = {
    "broker": Front._broker_after,
    "connack-5": Front._connack_after,
    "close": Front._close_after,
    "mute": Front._mute_after,
}


def _peer(connection: Connection) -> Peer:
    return Peer(connection.client, connection.fingerprint, connection.certificate)


async def _pump(read: Callable[[int], Awaitable[bytes]], write: Callable[[bytes], Awaitable[None]]) -> None:
    with contextlib.suppress(OSError, mqtt.NotMqtt):
        while data := await read(65536):
            await write(data)


async def _until_connect(connection: Connection, stream: TlsStream) -> bool:
    """Read up to the client's CONNECT; False when it never comes."""
    with contextlib.suppress(OSError, mqtt.NotMqtt):
        while data := await stream.read(4096):
            for packet in connection.parser.feed(data):
                if packet.kind == mqtt.CONNECT:
                    connection.client = mqtt.client_id(packet)
                    return True
    return False
