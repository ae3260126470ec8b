"""Reports from a broker: subscribes to a topic for a time, over verified TLS, with a client's certificate."""

from __future__ import annotations

import queue
import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from provisioning.errors import InputError, StationError

PORT = 8883
_PAUSE = 0.5  # seconds without a message after which what came is written
_PATIENCE = 15.0  # seconds for connection and subscription
Message = tuple[str, bytes, "int | None"]  # device, payload, when it arrived; None: nobody knows


@dataclass(frozen=True)
class Source:
    """`topic`: a filter; where it has "+", the first of these is who sent a report that names no device. `address`: where to connect, if
    the host's name does not lead there. `roots`: PEM of those that the broker may be vouched for by. `most`: reports, None: no limit."""

    host: str
    port: int
    topic: str
    seconds: float
    most: int | None
    roots: str
    certificate: Path | None = None
    key: Path | None = None
    address: tuple[str, int] | None = None
    client_id: str | None = None


class _Context(ssl.SSLContext):
    """Verifies the certificate against the name of the host, wherever the connection goes."""

    name = ""

    def wrap_socket(self, sock: Any, *arguments: Any, server_hostname: Any = None, **more: Any) -> Any:
        del server_hostname
        return super().wrap_socket(sock, *arguments, **more, server_hostname=self.name)  # type: ignore[misc]


def messages(source: Source, say: Callable[[str], None]) -> Iterator[Message | None]:
    """Messages until the time is over or there are enough, None in each pause between them. A retained message may be as old as the broker:
    it has no time. Raises StationError."""
    level = _level(source.topic)
    try:
        paho: Any = import_module("paho.mqtt.client")  # by name: type stubs of its older form may be installed
    except ImportError:
        raise StationError(
            "no-mqtt-client", "paho-mqtt is not installed, and brokers are asked through it.", "Install it: pip install 'twinroot[mqtt]'"
        ) from None
    came: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=10_000)
    client = paho.Client(
        paho.CallbackAPIVersion.VERSION2, client_id=source.client_id or f"twinroot-collect-{uuid.uuid4().hex[:8]}", clean_session=True
    )
    client.tls_set_context(_context(source))

    def connected(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            came.put(("refused", str(reason)))
        else:
            client.subscribe(source.topic, qos=1)

    def subscribed(_client: Any, _data: Any, _mid: Any, reasons: Any, _properties: Any) -> None:
        came.put(("refused", f"it does not let this client subscribe to {source.topic}") if reasons[0].is_failure else ("ready", None))

    def lost(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        came.put(("lost", str(reason)))

    client.on_connect, client.on_subscribe, client.on_disconnect = connected, subscribed, lost
    client.on_message = lambda _client, _data, message: came.put(("message", message))
    try:
        client.connect(*(source.address or (source.host, source.port)))
    except (OSError, ValueError) as error:
        raise _failed(source, str(error)) from None
    client.loop_start()
    try:
        yield from _until_enough(source, came, level, say)
    finally:
        client.on_disconnect = None
        client.disconnect()
        client.loop_stop()


def _until_enough(
    source: Source, came: queue.Queue[tuple[str, Any]], level: int | None, say: Callable[[str], None]
) -> Iterator[Message | None]:
    ready, count, losses = False, 0, 0
    until = time.monotonic() + _PATIENCE
    while (left := until - time.monotonic()) > 0 and count != source.most:
        try:
            kind, what = came.get(timeout=min(left, _PAUSE))
        except queue.Empty:
            yield None
            continue
        if kind == "refused":
            raise _failed(source, what)
        if kind == "lost":
            losses += 1
            if not ready or losses > 20:  # AWS IoT hangs up on a client that may not do what it asked for
                raise _failed(source, f"it ended the connection ({what})")
        elif kind == "ready":
            if not ready:
                say(f"{source.host}: listening on {source.topic} for {source.seconds:.0f} s")
                until = time.monotonic() + source.seconds
            ready = True
        elif kind == "message":
            count += 1
            levels = what.topic.split("/")
            device = levels[level] if level is not None and level < len(levels) else ""
            yield device, what.payload, None if what.retain else int(time.time())
    if not ready:
        raise _failed(source, f"no answer within {_PATIENCE:.0f} s")


def _level(topic: str) -> int | None:
    levels = topic.split("/")
    if not topic or len(topic.encode()) > 65535 or "#" in levels[:-1] or any(len(one) > 1 and set(one) & {"+", "#"} for one in levels):
        raise InputError("bad-arguments", f"--topic {topic[:80]!r} is not a filter of MQTT.", "For example --topic 'devices/+/health'.")
    return levels.index("+") if "+" in levels else None


def _context(source: Source) -> ssl.SSLContext:
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.name = source.host
    try:
        context.load_verify_locations(cadata=source.roots)
        if source.certificate is not None:
            context.load_cert_chain(source.certificate, source.key)
    except (OSError, ssl.SSLError) as error:
        which = source.certificate or "the roots"
        raise InputError("bad-certificate", f"{which} cannot be used: {error}.", "`twinroot trust check` says what a file holds.") from None
    return context


def _failed(source: Source, why: str) -> StationError:
    return StationError(
        "mqtt-failed",
        f"The broker {source.host}:{source.port} gives no reports: {why.rstrip('.')}.",
        "Check the host, the roots (--ca), the client's certificate, and what its policy allows.",
    )
