"""Listens in on the line to a virtual board: a TCP relay in front of its RFC 2217 port that keeps what passes, and what that says.

Nothing that goes to a board is plain: esptool deflates flash blocks (commands 0x10 and 0x11, "Serial Protocol" in its documentation), the
streaming transport deflates everything into frames (docs/frame-format.md). A secret is looked for in all of it.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import zlib
from collections.abc import Iterator
from urllib.parse import urlsplit

_FLASH_DEFL_BEGIN, _FLASH_DEFL_DATA = 0x10, 0x11
_BLOCK_HEAD = 16  # bytes before the data of a block: size, sequence, two zeros


class Tap:
    """A context manager. `port` is what the host opens instead of the board's. `heard` has what passed, a piece per connection and way."""

    def __init__(self, port: str) -> None:
        parts = urlsplit(port)
        self._board = (parts.hostname or "", parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = f"rfc2217://127.0.0.1:{self._listener.getsockname()[1]}"
        self.heard: list[bytearray] = []
        self._stop, self._stopper = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Tap:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopper.close()
        self._thread.join(10)
        self._listener.close()
        self._stop.close()

    def _serve(self) -> None:
        while self._listener in select.select([self._listener, self._stop], [], [])[0]:
            near, _ = self._listener.accept()
            with near, socket.create_connection(self._board) as far:
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._carry(near, far)

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        ways = {near: (far, bytearray()), far: (near, bytearray())}
        self.heard += [kept for _, kept in ways.values()]
        while True:
            ready = select.select([near, far, self._stop], [], [])[0]
            if self._stop in ready:
                return
            for end in ready:
                other, kept = ways[end]
                with contextlib.suppress(ConnectionError):
                    data = end.recv(65536)
                    if data:
                        kept += data
                        other.sendall(data)
                        continue
                return

    def times(self, *wanted: bytes) -> list[int]:
        """How often each of `wanted` passed, in whatever form. What has been heard is forgotten."""
        heard, self.heard = self.heard, []
        said = [text for piece in heard for text in texts(bytes(piece))]
        return [sum(text.count(each) for text in said) for each in wanted]


def texts(piece: bytes) -> Iterator[bytes]:
    """What one side said, as it is and as it is meant."""
    plain = piece.replace(b"\xff\xff", b"\xff")  # Telnet's escape
    yield plain
    yield from _flashed(plain)
    yield from _streamed(plain)


def _flashed(said: bytes) -> Iterator[bytes]:
    """The content of esptool's deflated writes."""
    squeeze = zlib.decompressobj()
    content = b""
    for frame in said.split(b"\xc0"):
        frame = frame.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
        if frame[:2] == bytes((0, _FLASH_DEFL_BEGIN)):
            yield content
            squeeze, content = zlib.decompressobj(), b""
        elif frame[:2] == bytes((0, _FLASH_DEFL_DATA)):
            with contextlib.suppress(zlib.error):
                content += squeeze.decompress(frame[8 + _BLOCK_HEAD :])
    yield content


def _streamed(said: bytes) -> Iterator[bytes]:
    """The content of the streaming transport's sessions."""
    squeeze = zlib.decompressobj(-15)
    content = b""
    expected = 0
    at = 0
    while at < len(said):
        size = said[at]
        body = said[at : at + size + 2]
        check = said[at + size + 2 : at + size + 5]
        if not 4 <= size < 124 or len(check) < 3 or (zlib.crc32(body) & 0xFFFFFF).to_bytes(3, "little") != check:
            at += 1
            continue
        if body[1] == 0 and expected:
            yield content
            squeeze, content, expected = zlib.decompressobj(-15), b"", 0
        if body[1] == expected:
            content += squeeze.decompress(body[2:])
            expected = expected + 1 & 255
        at += size + 5
    yield content
