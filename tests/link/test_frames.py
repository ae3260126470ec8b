"""The host's end of the frames against a device of a few lines, which acknowledges, loses and speaks when a test says so."""

from __future__ import annotations

import zlib
from collections import deque

from provisioning.link.repl import RING
from provisioning.link.transport.frames import Frames, frame


def said(number: int, text: str) -> bytes:
    """A message of the device (docs/frame-format.md)."""
    body = bytes((2, number)) + len(text).to_bytes(2, "little") + text.encode()
    return body + zlib.crc32(body).to_bytes(4, "little")


class Device:
    """Stands in for a Wire. `speaks`: {number of a frame: what the device says when it has taken it}; `loses`: frames lost once."""

    name, baud, home_baud, heard_at = "test", 115200, 115200, 0.0

    def __init__(self, speaks: dict[int, bytes] | None = None, loses: frozenset[int] = frozenset()) -> None:
        self.speaks = speaks or {}
        self.loses = set(loses)
        self.taken: list[bytes] = []  # payloads, in order
        self.in_ring: deque[bytes] = deque()
        self.most = 0  # bytes that were ever unacknowledged

    def write(self, data: bytes) -> None:
        if data.strip(b"\0"):
            number = data[1]
            if number in self.loses:
                self.loses.remove(number)
                return
            self.in_ring.append(data)
            self.most = max(self.most, sum(map(len, self.in_ring)))

    def read(self, seconds: float) -> bytes:
        if not self.in_ring:
            return b""
        data = self.in_ring.popleft()
        if data[1] != len(self.taken):
            return bytes((21, len(self.taken), len(self.taken) ^ 255))
        self.taken.append(data[2:-3])
        return bytes((6, len(self.taken), len(self.taken) ^ 255)) + self.speaks.get(len(self.taken), b"")


PIECE = bytes(range(256)) * 4


def test_an_answer_in_the_middle_does_not_hold_up_what_is_sent() -> None:
    device = Device(speaks={2: said(1, "[1,2]")})
    frames = Frames(device)  # type: ignore[arg-type]
    frames.send(PIECE)
    assert frames.message() == [1, 2]
    frames.flush()
    assert b"".join(device.taken) == PIECE
    assert device.most <= RING
    assert frames.resends == 0


def test_a_second_piece_follows_before_the_first_is_acknowledged() -> None:
    device = Device()
    frames = Frames(device)  # type: ignore[arg-type]
    frames.send(PIECE)
    assert frames.flying
    frames.send(PIECE)
    frames.flush()
    assert b"".join(device.taken) == PIECE * 2
    assert device.most <= RING


def test_an_error_ends_the_sending() -> None:
    device = Device(speaks={2: said(1, "['OSError(28,)']")})
    frames = Frames(device)  # type: ignore[arg-type]
    frames.send(PIECE)
    assert frames.message() == ["OSError(28,)"]
    assert len(device.taken) < len(PIECE) // 123


def test_a_last_frame_that_got_lost_is_sent_again_while_the_answer_is_waited_for() -> None:
    last = len(PIECE) // 123
    device = Device(speaks={last + 1: said(1, "7")}, loses=frozenset([last]))
    frames = Frames(device)  # type: ignore[arg-type]
    frames.send(PIECE)
    device.heard_at = frames.progress
    assert frames.message() == 7
    assert b"".join(device.taken) == PIECE
    assert frames.resends == 1


def test_the_fake_speaks_the_format() -> None:
    device = Device()
    device.write(frame(0, b"abcd"))
    assert device.read(1.0) == b"\x06\x01\xfe" and device.taken == [b"abcd"]
