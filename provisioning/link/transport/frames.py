"""The host's end of the frames (docs/frame-format.md): a reliable byte stream to the board, checked messages back.

Never more than RING bytes are unacknowledged: the receive ring of an ESP32 holds 260 and drops the rest silently. The board
acknowledges a frame when it has left the ring. Nothing is sent again, and nothing beside, before the board has said that it reads:
a board that is busy with flash does not, for as long as it takes.
"""

from __future__ import annotations

import itertools
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from provisioning.link.answer_check import senseless
from provisioning.link.patience import FORWARD, WORD
from provisioning.link.repl import BUSY, RETRY, RING, LinkBroken, ReceiverEnded
from provisioning.link.transport.trip import Trip
from provisioning.link.wire import Wire
from provisioning.parsed import literal

MAX_PAYLOAD = 123  # a frame of 128 bytes: two of them fill the ring
MIN_PAYLOAD = 4  # lengths below have meanings of their own
NO_LENGTH = 0x0D  # a CR, which terminal programs send before their control-C: skipped where a frame should begin
AGAIN = b"\x02"
ACK, NAK, MESSAGE = 0x06, 0x15, 0x02
MESSAGE_LIMIT = 16384
ENDED = (b"\x04\x04>", b"\x04Traceback")  # the raw REPL's marks around the output of a program, without and with an exception
RESTARTED = (b"\r\n>>> ", b"rst:0x", b"MPY: soft reboot")  # what a board says that runs our receiver no more
TICK = 0.2  # seconds of one look at a silent line
PIECE = 2.0  # seconds in which what has begun to arrive is there, or the rest of it is lost: 16 KB take 1.4 s at 115200 baud
RAISED_NOISE = 3.0  # seconds of nothing but noise at a raised rate: the board is back at the old one
MOST_RESENDS = 200


def error_of(value: Any) -> str | None:
    """The text of the device's exception when the message `value` is one."""
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) else None


def frame(sequence: int, payload: bytes) -> bytes:
    body = bytes((len(payload), sequence)) + payload
    return body + (zlib.crc32(body) & 0xFFFFFF).to_bytes(3, "little")


def cut(data: bytes) -> list[bytes]:
    """`data` (at least MIN_PAYLOAD bytes) in payloads of MIN_PAYLOAD to MAX_PAYLOAD bytes, none of NO_LENGTH."""
    parts = []
    at = 0
    while at < len(data):
        left = len(data) - at
        size = min(left, MAX_PAYLOAD)
        if 0 < left - size < MIN_PAYLOAD or size == NO_LENGTH:
            size -= MIN_PAYLOAD
        parts.append(data[at : at + size])
        at += size
    return parts


@dataclass
class InFlight:
    """A frame that was sent and is not acknowledged: when it was sent last, and whether that was the only time."""

    number: int
    block: bytes
    at: float
    once: bool = True


class Frames:
    """`send` and `message` over a Wire whose other end runs firmware/link/core.py."""

    def __init__(self, wire: Wire, *, on_resend: Callable[[str], None] = lambda why: None) -> None:
        self.wire = wire
        self.on_resend = on_resend
        self.resends = 0
        self.sequence = 0  # of the next new frame
        self.waiting: deque[bytes] = deque()  # payloads that have not left yet
        self.in_flight: deque[InFlight] = deque()
        self.received = bytearray()
        self.skipped = bytearray()  # the last of what was neither mark nor message
        self.messages: deque[Any] = deque()
        self.last_message = 0
        self.trip = Trip()
        self._owed = False  # whether the caller waits for a message
        self._begun = 0.0  # when what is in `heard`, and is not whole yet, began to arrive
        self._due: float | None = None  # when what the board has asked for is sent again
        self._noise = False  # whether anything but words of the board came since the last of them
        self._word = self._wrote = self._forward = time.monotonic()  # the board's last word, our last, the last step forward

    # -- sending -----------------------------------------------------------------------------------------------------

    def send(self, data: bytes, acknowledged: Callable[[int], None] = lambda count: None) -> None:
        """Put `data` on its way; returns when its last frame has left, or the board reports an error.

        What is unacknowledged by then is looked after by the next call, whichever it is: the line does not fall silent between two.
        Raises LinkBroken when the board falls silent or makes no progress.
        """
        self._begin()
        self.waiting.extend(cut(data))
        self._fill()
        while self.waiting and not self._failed():
            self._step(acknowledged)

    def flush(self, acknowledged: Callable[[int], None] = lambda count: None) -> None:
        """Returns when everything is acknowledged or the board has something to say. Raises LinkBroken as `send`."""
        while self.in_flight and not self.messages:
            self._step(acknowledged)

    def _begin(self) -> None:
        """What the host did meanwhile is no silence of the board's."""
        self._word = self._forward = time.monotonic()

    def _step(self, acknowledged: Callable[[int], None]) -> None:
        before = len(self.in_flight)
        self._listen()
        acknowledged((before - len(self.in_flight)) * MAX_PAYLOAD)
        self._fill()

    def _fill(self) -> None:
        while self.waiting and self._room(self.waiting[0]):
            block = frame(self.sequence, self.waiting.popleft())
            self.in_flight.append(InFlight(self.sequence, block, self._write(block)))
            self.sequence = self.sequence + 1 & 255

    def _write(self, data: bytes) -> float:
        """Send `data`; when it was sent."""
        self.wire.write(data)
        self._wrote = time.monotonic()
        return self._wrote

    def _failed(self) -> bool:
        """Whether the board has reported an error: nobody there reads the rest."""
        return any(error_of(value) is not None for value in self.messages)

    def _room(self, payload: bytes) -> bool:
        return sum(len(one.block) for one in self.in_flight) + len(payload) + 5 <= RING

    def _asked(self) -> None:
        """The board reads, and has not got the oldest frame: it is sent again, unless it may be under way still."""
        self._due = self.in_flight[0].at + self.trip.timeout

    def _resend(self) -> None:
        self._due = None
        self._count("asked for")
        for one in self.in_flight:
            one.at = self._write(one.block)
            one.once = False

    def _count(self, why: str) -> None:
        self.resends += 1
        self.on_resend(why)
        if self.resends > MOST_RESENDS:
            raise LinkBroken("line-noisy", f"The line on {self.wire.name} damages too much of what is sent.", RETRY)

    # -- receiving ---------------------------------------------------------------------------------------------------

    def message(self) -> Any:
        """The board's next message. Raises LinkBroken when the board falls silent."""
        self._begin()
        self._parse()
        self._owed = True
        try:
            while not self.messages:
                self._listen()
                if not self.messages:
                    self._check_ended()
        finally:
            self._owed = False
        return self.messages.popleft()

    def _listen(self) -> None:
        """Take in what the board says, and send again what it asks for."""
        data = self.wire.read(TICK if self._due is None else max(0.0, min(TICK, self._due - time.monotonic())))
        if data and not self.received:
            self._begun = time.monotonic()
        self.received += data
        self._parse()
        if self.received and not self.received.startswith(ENDED) and time.monotonic() - self._begun > PIECE:
            self._skip()  # the length of a message was damaged, or its rest is lost
            self._parse()
        if self.in_flight and not self.messages:
            self._check_ended()
        self._check_alive()
        if self._due is not None and time.monotonic() >= self._due and self.in_flight:
            self._resend()

    def _check_alive(self) -> None:
        """Raise when the board has been silent for too long, or nothing goes forward. What is no word of the receiver's is silence."""
        now = time.monotonic()
        silent = now - self._word
        limit = self.wire.pace.bound(WORD)
        if self._noise and self.wire.baud != self.wire.home_baud:
            limit = RAISED_NOISE
        self.wire.announce(silent, limit)
        if silent > limit:
            message = f"The board on {self.wire.name} gave no sign of life for {limit:.0f} s in the middle of a transfer."
            raise LinkBroken("link-silent", message, RETRY)
        forward = self.wire.pace.bound(FORWARD)
        if now - self._forward > forward:
            message = f"The board on {self.wire.name} got no further for {forward:.0f} s in the middle of a transfer."
            raise LinkBroken("link-stuck", message, RETRY)

    def _parse(self) -> None:
        data = self.received
        while data:
            if data[0] in (ACK, NAK):
                if len(data) < 3:
                    return
                if data[1] ^ data[2] == 255:
                    self._marked(data[0], data[1])
                    self._taken(3)
                    continue
            elif data[0] == BUSY[0]:
                self._said_something(at_work=True)
                self._taken(1)
                continue
            elif data[0] == MESSAGE:
                length = int.from_bytes(data[2:4], "little")
                if len(data) < 4 or (length <= MESSAGE_LIMIT and len(data) < length + 8):
                    return
                body, check = data[: length + 4], data[length + 4 : length + 8]
                if length <= MESSAGE_LIMIT and zlib.crc32(body) == int.from_bytes(check, "little"):
                    self._said(body[1], bytes(body[4:]))
                    self._taken(length + 8)
                    continue
            elif data.startswith(ENDED) or any(mark.startswith(data) for mark in ENDED):
                return  # the receiver ended: what follows is the raw REPL's
            self._skip()

    def _skip(self) -> None:
        """Noise, or text that another part of the firmware printed."""
        self._noise = True
        self.skipped = (self.skipped + self.received[:1])[-80:]
        self._taken(1)

    def _taken(self, count: int) -> None:
        del self.received[:count]
        self._begun = time.monotonic()

    def _said_something(self, at_work: bool) -> None:
        """A word of the receiver. `at_work`: it ends a pause in which the board did something, not one in which it waited for us."""
        now = time.monotonic()
        if at_work:
            self.wire.pace.learn(now - max(self._word, self._wrote))
        self._word = now
        self._noise = False

    def _marked(self, mark: int, expected: int) -> None:
        gone = expected - (self.in_flight[0].number if self.in_flight else self.sequence) & 255
        if gone > len(self.in_flight):
            return  # of no frame that is under way: a repetition, or damage that the check has missed
        self._said_something(at_work=mark == ACK and all(one.once for one in itertools.islice(self.in_flight, gone)))
        for _ in range(gone):
            one = self.in_flight.popleft()
            if one.once:
                self.trip.measure(self._word - one.at)
        if gone:
            self._forward = self._word
            self._due = None
        if mark == NAK and self.in_flight:
            if expected == self.in_flight[0].number:
                self._asked()
        elif mark == NAK and self._owed and not self.messages:
            # All of ours is there, and it waits for more: what it said to it was lost on the way.
            self._count("answer lost")
            self._write(AGAIN)

    def _check_ended(self) -> None:
        """Raise when the receiver has ended: the raw prompt is back, or the board starts anew."""
        if any(sign in self.skipped + self.received for sign in RESTARTED):
            self.wire.unread(bytes(self.skipped + self.received))  # whoever interrupts next has to know that it starts
            raise LinkBroken("board-restarted", f"The board on {self.wire.name} restarted in the middle of a transfer.", RETRY)
        if not (self.received.startswith(ENDED) and b"\x04>" in self.received):
            return
        said = bytes(self.received).decode("ascii", "replace").strip("\x04>\r\n ").splitlines()
        why = f" with {said[-1][:80]}" if said else ""
        ended = ReceiverEnded("receiver-ended", f"The receiver on {self.wire.name} stopped in the middle of a transfer{why}.", RETRY)
        ended.raised = said[-1] if said else ""
        raise ended

    def _said(self, number: int, text: bytes) -> None:
        self._said_something(at_work=True)
        if number == self.last_message:
            return
        self.last_message = number
        self._forward = self._word
        try:
            self.messages.append(literal(text))
        except ValueError:
            raise senseless(self.wire.name) from None
