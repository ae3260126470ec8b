"""The host's end of the frames against a device of a few lines, which acknowledges, loses and speaks when a test says so."""

from __future__ import annotations

import time
import zlib
from collections import deque

import pytest

from provisioning.link.events import Event
from provisioning.link.patience import Bound, Pace
from provisioning.link.repl import RING, LinkBroken
from provisioning.link.transport import frames as module
from provisioning.link.transport.frames import Frames, frame
from provisioning.link.transport.trip import Trip
from provisioning.link.wire import Wire


def said(number: int, text: str) -> bytes:
    """A message of the device (docs/frame-format.md)."""
    body = bytes((2, number)) + len(text).to_bytes(2, "little") + text.encode()
    return body + zlib.crc32(body).to_bytes(4, "little")


def mark(kind: int, expected: int) -> bytes:
    return bytes((kind, expected & 255, expected & 255 ^ 255))


class Device:
    """Stands in for a Wire. `speaks`: {number of a frame: what the device says when it has taken it}; `loses`: frames lost once.

    It says after each silence which frame it waits for, as firmware/link/core.py does; `idle`: what it says instead.
    """

    name, baud, home_baud = "test", 115200, 115200
    idle: bytes | None = None

    def __init__(self, speaks: dict[int, bytes] | None = None, loses: frozenset[int] = frozenset()) -> None:
        self.speaks = speaks or {}
        self.loses = set(loses)
        self.taken: list[bytes] = []  # payloads, in order
        self.in_ring: deque[bytes] = deque()
        self.most = 0  # bytes that were ever unacknowledged
        self.asked_again = 0
        self.pace = Pace()
        self.told: list[tuple[float, float]] = []

    def announce(self, quiet: float, limit: float) -> None:
        self.told.append((quiet, limit))

    def write(self, data: bytes) -> None:
        if data == b"\2":
            self.asked_again += 1
            return
        number = data[1]
        if number in self.loses:
            self.loses.remove(number)
            return
        self.in_ring.append(data)
        self.most = max(self.most, sum(map(len, self.in_ring)))

    def read(self, seconds: float) -> bytes:
        if not self.in_ring:
            time.sleep(min(seconds, 0.02))
            return mark(21, len(self.taken)) if self.idle is None else self.idle
        data = self.in_ring.popleft()
        if data[1] != len(self.taken) & 255:
            return mark(21, len(self.taken))
        self.taken.append(data[2:-3])
        return mark(6, len(self.taken)) + self.speaks.get(len(self.taken), b"")


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


def test_a_message_that_comes_twice_counts_once() -> None:
    """The board repeats its last message when it is asked for it; the first one may have been on its way."""
    device = Device(speaks={1: said(1, "1") + said(1, "1") + said(2, "2")})
    frames = Frames(device)  # type: ignore[arg-type]
    frames.send(PIECE)
    assert [frames.message(), frames.message()] == [1, 2]


def test_a_second_piece_follows_before_the_first_is_acknowledged() -> None:
    device = Device()
    frames = Frames(device)  # type: ignore[arg-type]
    frames.send(PIECE)
    assert frames.in_flight
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
    assert frames.message() == 7
    assert b"".join(device.taken) == PIECE
    assert frames.resends == 1


def test_the_fake_speaks_the_format() -> None:
    device = Device()
    device.write(frame(0, b"abcd"))
    assert device.read(1.0) == b"\x06\x01\xfe" and device.taken == [b"abcd"]


def test_nothing_is_sent_twice_to_a_board_that_is_at_work() -> None:
    """It takes the first frame, writes flash for a while, and reads on: two frames wait in its ring, and nothing is added to them."""
    device = Device()
    frames = Frames(device)  # type: ignore[arg-type]
    frames.send(PIECE[:123])
    frames.flush()
    read, device.read = device.read, lambda seconds: time.sleep(seconds) or b""  # type: ignore[method-assign,func-returns-value]
    frames.waiting.extend([PIECE[:123]] * 4)
    frames._fill()
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        frames._listen()
    assert sum(map(len, device.in_ring)) == RING
    device.read = read  # type: ignore[method-assign]
    frames.send(PIECE[:123])
    frames.flush()
    assert device.most == RING and frames.resends == 0 and len(device.taken) == 6


def test_a_word_that_crosses_a_frame_is_no_request() -> None:
    """The board says what it waits for at the moment at which that leaves here: it is on its way, and not sent again."""
    device = Device()
    frames = Frames(device)  # type: ignore[arg-type]
    frames.send(PIECE)
    frames.flush()
    frames.received += mark(21, len(device.taken))
    frames.send(PIECE[:123])
    frames._parse()
    frames.flush()
    assert frames.resends == 0 and b"".join(device.taken) == PIECE + PIECE[:123]


def test_an_answer_that_got_lost_is_asked_for() -> None:
    device = Device()
    frames = Frames(device)  # type: ignore[arg-type]
    frames.send(PIECE)
    frames.flush()
    device.idle = mark(21, len(device.taken)) + said(1, "7")
    assert frames.message() == 7
    assert device.asked_again <= 1


def quick(monkeypatch: pytest.MonkeyPatch, word: float, forward: float) -> None:
    monkeypatch.setattr(module, "WORD", Bound(word, word, 0, word))
    monkeypatch.setattr(module, "FORWARD", Bound(forward, forward, 0, forward))


@pytest.mark.parametrize(
    ("says", "code"),
    [
        (b"", "link-silent"),
        (b"babble ", "link-silent"),
        (b"\x16", "link-stuck"),
        (mark(21, 77), "link-silent"),
        (mark(21, 0), "link-stuck"),
    ],
    ids=["nothing", "babble", "busy for ever", "asks for what was never sent", "takes nothing"],
)
def test_nothing_goes_on_for_ever(monkeypatch: pytest.MonkeyPatch, says: bytes, code: str) -> None:
    quick(monkeypatch, 0.3, 1.0 if code == "link-stuck" else 60.0)
    device = Device(loses=frozenset())
    device.idle = says
    device.write = lambda data: None  # type: ignore[method-assign]
    frames = Frames(device)  # type: ignore[arg-type]
    with pytest.raises(LinkBroken) as caught:
        frames.send(PIECE)
    assert caught.value.code == code
    assert device.told, "the silence was announced"


def test_a_slow_board_is_waited_for_and_a_quick_one_given_up_soon() -> None:
    quick, slow = Pace(), Pace()
    quick.learn(0.01, look=True)
    slow.learn(0.8, look=True)
    for bound in (module.WORD, module.FORWARD):
        assert bound.least == quick.bound(bound) < slow.bound(bound) <= bound.most


def test_silence_is_announced_with_its_bound() -> None:
    told: list[Event] = []
    wire = Wire(None, "test")
    wire.events = told.append
    for second in range(12):
        wire.announce(second, 20.0)
    assert [event.kind for event in told] == ["quiet", "quiet"]
    assert told[-1].data["limit"] == 20.0 and "given up after 20 s" in told[-1].data["text"]


def test_round_trip_follows_rfc_6298() -> None:
    trip = Trip()
    first = trip.timeout
    trip.measure(0.1)
    assert (trip.smoothed, trip.variation) == (0.1, 0.05) and abs(trip.timeout - 0.3) < 1e-9 and first == 0.3
    trip.measure(0.2)
    assert abs(trip.variation - 0.0625) < 1e-9 and abs(trip.smoothed - 0.1125) < 1e-9
