"""What can go wrong on TCP before and in a handshake: one coroutine per word of `Wire`, and the shaper for slow and cut ones."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

from provisioning.standin.scenarios import Scenario

# RFC 8446 section 5.1: type, version, and two bytes of length before each record.
_RECORD_HEAD = 5
_PORTAL = (
    b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/login\r\nContent-Type: text/html\r\nContent-Length: 32\r\n"
    b"Connection: close\r\n\r\n<html>Please log in first</html>"
)


def reset(connection: socket.socket) -> None:
    """Close with a RST: linger on, for no time."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


async def _first_bytes(connection: socket.socket) -> bytes:
    return await asyncio.get_running_loop().sock_recv(connection, 4096)


async def _reset(connection: socket.socket) -> None:
    await _first_bytes(connection)
    reset(connection)


async def _eof(connection: socket.socket) -> None:
    # All that came is read first: closing with unread bytes would send a RST.
    await _first_bytes(connection)
    connection.shutdown(socket.SHUT_WR)
    await _hang(connection)


async def _hang(connection: socket.socket) -> None:
    while await _first_bytes(connection):
        pass


async def _captive(connection: socket.socket) -> None:
    await _first_bytes(connection)
    await asyncio.get_running_loop().sock_sendall(connection, _PORTAL)
    connection.shutdown(socket.SHUT_WR)
    await _hang(connection)


INSTEAD_OF_TLS: dict[str, Callable[[socket.socket], Awaitable[None]]] = {
    "reset": _reset,
    "eof": _eof,
    "hang": _hang,
    "captive": _captive,
}


class Shaper:
    """Stands between a client and the TLS server: hands on the server's bytes slowly, or resets after so many records.

    `inner` is the socket on which to run the TLS server. Closing either side ends the other.
    """

    def __init__(self, client: socket.socket, scenario: Scenario) -> None:
        self._client = client
        self._scenario = scenario
        self._near, self.inner = socket.socketpair()
        self._near.setblocking(False)
        self.inner.setblocking(False)
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        pumps = [asyncio.create_task(self._up()), asyncio.create_task(self._down())]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._near.close()
            self._client.close()

    async def _up(self) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(self._client, 65536):
            await loop.sock_sendall(self._near, data)

    async def _down(self) -> None:
        loop = asyncio.get_running_loop()
        records = 0
        while True:
            head = await self._exactly(_RECORD_HEAD)
            record = head + await self._exactly(int.from_bytes(head[3:5], "big"))
            await self._send(record)
            records += 1
            if records == self._scenario.records:
                await loop.sock_sendall(self._client, b"")
                reset(self._client)
                return

    async def _exactly(self, count: int) -> bytes:
        loop, data = asyncio.get_running_loop(), b""
        while len(data) < count:
            more = await loop.sock_recv(self._near, count - len(data))
            if not more:
                raise ConnectionResetError("the TLS server closed")
            data += more
        return data

    async def _send(self, record: bytes) -> None:
        loop, pace = asyncio.get_running_loop(), self._scenario.pace
        if not pace:
            await loop.sock_sendall(self._client, record)
            return
        for byte in record:
            await loop.sock_sendall(self._client, bytes([byte]))
            await asyncio.sleep(pace)

    async def finished(self) -> None:
        """Cut both sides and wait for the pumps."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
