"""The server's side of TLS on a socket, asynchronous.

Not asyncio's own: that one closes after a failed handshake without sending the alert, and a device would see the end of the stream
where the real endpoint tells it why.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import ssl
from collections.abc import Callable
from typing import Any, TypeVar, cast

_T = TypeVar("_T")
# Seconds that a client gets to read our last words before the socket is closed.
_LINGER = 1.0


class TlsStream:
    """Takes over the connected, non-blocking `plain`. One reader and one writer at a time."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext) -> None:
        self._socket = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)

    async def handshake(self) -> None:
        """Raises ssl.SSLError with the reason when it fails (the client has been told by then), OSError when the client is gone."""
        await self._when_ready(self._socket.do_handshake)

    async def read(self, count: int) -> bytes:
        """Up to `count` bytes; b"" when the client has closed, orderly or not."""
        with contextlib.suppress(ssl.SSLEOFError):
            return await self._when_ready(lambda: self._socket.recv(count))
        return b""

    async def write(self, data: bytes) -> None:
        """All of `data`."""
        view = memoryview(data)
        while view:
            view = view[await self._when_ready(lambda rest=view: self._socket.send(rest)) :]  # type: ignore[misc]

    async def finish(self) -> None:
        """Close so that the client can still read what was sent: without waiting, unread bytes of its would turn into a RST."""
        with contextlib.suppress(OSError, ValueError):
            self._socket.unwrap()
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            plain = socket.socket(fileno=self._socket.detach())
            with plain:
                plain.shutdown(socket.SHUT_WR)
                await asyncio.wait_for(_rest(plain), _LINGER)

    def close(self) -> None:
        """Close now."""
        self._socket.close()

    @property
    def version(self) -> str | None:
        return self._socket.version()

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the client's certificate in DER, in hexadecimal: on AWS IoT, the certificate's id."""
        return hashlib.sha256(self._socket.getpeercert(binary_form=True) or b"").hexdigest()

    @property
    def common_name(self) -> str:
        """The common name in the client's certificate: on AWS IoT, the thing's."""
        certificate = cast("dict[str, Any]", self._socket.getpeercert() or {})
        names = (pair for attribute in certificate.get("subject", ()) for pair in attribute)
        return next((str(value) for name, value in names if name == "commonName"), "")

    async def _when_ready(self, act: Callable[[], _T]) -> _T:
        loop = asyncio.get_running_loop()
        while True:
            try:
                return act()
            except ssl.SSLWantReadError:
                await _ready(self._socket.fileno(), loop.add_reader, loop.remove_reader)
            except ssl.SSLWantWriteError:
                await _ready(self._socket.fileno(), loop.add_writer, loop.remove_writer)


async def _ready(descriptor: int, watch: Callable[..., None], unwatch: Callable[[int], bool]) -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not ready.done():  # the descriptor may be reported once more before we stop watching it
            ready.set_result(None)

    watch(descriptor, wake)
    try:
        await ready
    finally:
        unwatch(descriptor)


async def _rest(plain: socket.socket) -> None:
    while await asyncio.get_running_loop().sock_recv(plain, 4096):
        pass
