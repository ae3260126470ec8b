"""A port in front of a board's port, which writes down all that passes: whatever program uses it, its session becomes a file."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from provisioning.link.port import open_port
from provisioning.link.recording import Recorder
from provisioning.link.tap import listening

HOST = "127.0.0.1"
_CHUNK = 4096
_LOOK = 0.2  # seconds between two looks whether the end has come


def record(port: str, file: Path, ready: Callable[[str], None], stop: threading.Event, number: int = 0) -> dict[str, int]:
    """Serves the board at `port` over RFC 2217 on this computer's loopback until `stop`; `ready` is called with the address.
    Returns how many bytes went each way, {"rx", "tx"}. One client at a time, any number in turn.

    Raises TwinrootError where the port or the file cannot be had, StationError when the board's port goes away.
    """
    with Recorder(file) as recorder, listening(recorder), open_port(port) as wire, socket.create_server((HOST, number)) as server:
        server.settimeout(_LOOK)
        ready(f"rfc2217://{HOST}:{server.getsockname()[1]}")
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = server.accept()
                with client:
                    _serve(client, wire.serial, stop)
        return recorder.counts


def _is_ours(client: socket.socket) -> bool:
    """Loopback is every local user's; the board is its owner's. Where the kernel tells who that is, others are refused."""
    if sys.platform != "linux":
        return True
    from provisioning.virtual.endpoint.peer import is_ours

    return is_ours(client)


class _Link:
    """What PortManager writes to."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._client.sendall(data)


def _serve(client: socket.socket, port: Any, stop: threading.Event) -> None:
    """One client, until it hangs up."""
    if not _is_ours(client):
        return
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.settimeout(_LOOK)
    link = _Link(client)
    from serial import rfc2217

    manager: Any = rfc2217.PortManager(port, cast(Any, link))
    gone = threading.Event()
    lost: list[Exception] = []

    def from_board() -> None:
        try:
            while not gone.is_set():
                if data := port.read(max(1, port.in_waiting)):
                    link.write(b"".join(manager.escape(data)))
        except (OSError, TypeError) as error:
            lost.append(error)
            gone.set()

    reader = threading.Thread(target=from_board, daemon=True)
    reader.start()
    try:
        while not (gone.is_set() or stop.is_set()):
            try:
                data = client.recv(_CHUNK)
            except TimeoutError:
                continue
            except OSError:
                break
            if not data:
                break
            if plain := b"".join(manager.filter(data)):
                port.write(plain)
    finally:
        gone.set()
        reader.join(2)
    if lost:
        from provisioning.link.wire import lost as port_lost

        raise port_lost(str(port.port), lost[0])
