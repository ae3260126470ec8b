"""An RFC 2217 port on the loopback interface: bytes, the host's rate, DTR and RTS. One client at a time, any number in turn, all of them
processes of the user who started the board."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from serial import rfc2217

from provisioning.virtual.endpoint.peer import is_ours
from provisioning.virtual.endpoint.unread import Unread

if TYPE_CHECKING:
    from provisioning.virtual.engine import BoardEngine

_BACKLOG = 4096  # bytes on the wire before the host has to wait
_IN_TRANSPORT = 1 << 16  # bytes on their way into the client's socket; a purge does not reach them
_IAC = b"\xff"


class _SerialPort:
    """What PortManager sets and asks: a serial port whose other end is the board."""

    cts = dsr = cd = True
    ri = False
    bytesize, parity, stopbits = 8, "N", 1
    xonxoff = rtscts = False
    break_condition = False

    def __init__(self, endpoint: Rfc2217Endpoint) -> None:
        self._endpoint = endpoint
        self.baudrate = 115200
        self._dtr = self._rts = False

    @property
    def dtr(self) -> bool:
        return self._dtr

    @dtr.setter
    def dtr(self, on: bool) -> None:
        self._dtr = on
        self._endpoint.lines(self._dtr, self._rts)

    @property
    def rts(self) -> bool:
        return self._rts

    @rts.setter
    def rts(self, on: bool) -> None:
        self._rts = on
        self._endpoint.lines(self._dtr, self._rts)

    def raise_lines(self) -> None:
        """As the operating system does when a local port is opened: both lines at once."""
        self._dtr = self._rts = True
        self._endpoint.lines(True, True)

    def hang_up(self) -> None:
        """The operating system drops both lines when a port is closed."""
        self._dtr = self._rts = False
        self._endpoint.lines(False, False)

    def reset_input_buffer(self) -> None:
        """What is on its way to the client still comes; pyserial's drops it when it knows of the purge."""
        self._endpoint.unread.clear()

    def reset_output_buffer(self) -> None:
        """Also the last that pyserial's client asks for when it opens a port."""
        self._endpoint.purge()
        self._endpoint.on_opening(False)


class Rfc2217Endpoint:
    """`port` is the TCP port once `listen` has returned."""

    def __init__(self, board: BoardEngine) -> None:
        self._board = board
        self.serial = _SerialPort(self)
        self.unread = Unread()
        self._client: _Client | None = None
        self._server: asyncio.Server | None = None
        self.port = 0
        self.on_opening: Callable[[bool], None] = lambda on: None  # whether a client is about to open the port

    async def listen(self, host: str, wanted: int) -> None:
        """Listens on `wanted`, or on a free port when that one is taken or 0."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _Client(self), host, wanted)
        except OSError:
            self._server = await loop.create_server(lambda: _Client(self), host, 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    @property
    def rate(self) -> int | None:
        return self.serial.baudrate

    @property
    def connected(self) -> bool:
        return self._client is not None

    def lines(self, dtr: bool, rts: bool) -> None:
        self._board.lines.set(dtr, rts)

    def purge(self) -> None:
        self._board.uart.to_board.clear()

    def deliver(self, data: bytes) -> None:
        if self._client is not None:
            self._client.send(data)

    def space(self) -> None:
        if self._client is not None and self._board.uart.to_board.backlog <= _BACKLOG:
            self._client.resume()

    def accept(self, client: _Client) -> bool:
        if self._client is not None:
            return False
        self._client = client
        if self._board.spec.usb:  # it stands for a local port: a chip's own cannot be had over RFC 2217
            self.serial.raise_lines()
        self.on_opening(True)
        return True

    def gone(self, client: _Client) -> None:
        if self._client is client:
            self._client = None
            self.on_opening(False)
            self.unread.clear()
            self.serial.hang_up()

    @property
    def lost(self) -> int:
        """Bytes that a client left unread until they did not fit."""
        return self.unread.lost

    def clear_lost(self) -> None:
        self.unread.lost = 0

    def received(self, data: bytes) -> bool:
        """True while the client may send on."""
        self.on_opening(False)
        self._board.from_host(data, self)
        return self._board.uart.to_board.backlog <= _BACKLOG

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._client is not None:
            self._client.drop()


class _Client(asyncio.Protocol):
    def __init__(self, endpoint: Rfc2217Endpoint) -> None:
        self._endpoint = endpoint
        self._transport: asyncio.Transport | None = None
        self._telnet: Any = None
        self._full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's own type is wider than what it passes
        # Loopback is every local user's; what is on this flash, keys among it, is its owner's.
        if not is_ours(transport.get_extra_info("socket")) or not self._endpoint.accept(self):
            transport.close()
            return
        self._transport = transport
        transport.set_write_buffer_limits(_IN_TRANSPORT)
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._telnet = rfc2217.PortManager(cast(Any, self._endpoint.serial), cast(Any, self))

    def write(self, data: bytes) -> None:
        """PortManager's way to the client."""
        if self._transport is not None:
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self._telnet is None:
            return
        if self._telnet.mode == rfc2217.M_NORMAL and _IAC not in data.replace(_IAC + _IAC, b""):
            data = data.replace(_IAC + _IAC, _IAC)  # no command in it, as in nearly all: a hundred times faster than byte by byte
        else:
            data = b"".join(self._telnet.filter(data))
        if data and not self._endpoint.received(data) and self._transport is not None:
            self._transport.pause_reading()

    def send(self, data: bytes) -> None:
        self._endpoint.unread.add(data)
        self._write()

    def _write(self) -> None:
        unread = self._endpoint.unread
        while self._transport is not None and unread and not self._full:
            data = unread.first(_IN_TRANSPORT)
            unread.take(len(data))
            self._transport.write(data.replace(_IAC, _IAC + _IAC))

    def pause_writing(self) -> None:
        """The client is slower than the wire."""
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._write()

    def resume(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):
                self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._endpoint.gone(self)

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()
