"""The host's end of the frames (docs/frame-format.md): a reliable byte stream to the board, checked messages back.

Never more than RING bytes are unacknowledged: the receive ring of an ESP32 holds 260 and drops the rest silently. The board
acknowledges a frame when it has left the ring.
"""

from __future__ import annotations

import ast
import time
import zlib
from collections import deque
from collections.abc import Callable
from typing import Any

from provisioning.link.repl import RETRY, RING, LinkBroken
from provisioning.link.wire import Wire

MAX_PAYLOAD = 123  # a frame of 128 bytes: two of them fill the ring
MIN_PAYLOAD = 4  # lengths below have meanings of their own
NO_LENGTH = 0x0D  # a CR, which terminal programs send before their control-C: skipped where a frame should begin
PAD, AGAIN = b"\x00", b"\x02"
ACK, NAK, MESSAGE = 0x06, 0x15, 0x02
MESSAGE_LIMIT = 16384
ENDED = (b"\x04\x04>", b"\x04Traceback")  # the raw REPL's marks around the output of a program, without and with an exception
RESTARTED = (b"\r\n>>> ", b"rst:0x", b"MPY: soft reboot")  # what a board says that runs our receiver no more
FIRST_WAIT = 0.3  # seconds without an acknowledgement until a resend; doubles up to LAST_WAIT
LAST_WAIT = 2.0
SILENCE = 6.0  # seconds without a byte: the board is gone. While it is busy with flash it says so, file by file.
ASK_AGAIN = 1.0  # seconds without a word from a board that owes a message
GIVE_UP = 30.0  # seconds without progress, whatever is heard
RAISED_GIVE_UP = 3.0  # the same at a raised rate
BUSY = b"\x16"  # the device reads back or removes a file


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


class Frames:
    """`send` and `message` over a Wire whose other end runs firmware/link/receiver.py."""

    def __init__(self, wire: Wire, *, on_resend: Callable[[str], None] = lambda why: None) -> None:
        self.wire = wire
        self.on_resend = on_resend
        self.resends = 0
        self.sequence = 0  # of the next new frame
        self.waiting: deque[bytes] = deque()  # payloads that have not left yet
        self.flying: deque[tuple[int, bytes]] = deque()  # sent, not acknowledged: (sequence, frame)
        self.heard = bytearray()
        self.skipped = bytearray()  # the last of what was neither mark nor message
        self.messages: deque[Any] = deque()
        self.last_message = 0
        self.progress = time.monotonic()
        self.wait = FIRST_WAIT

    # -- sending -----------------------------------------------------------------------------------------------------

    def send(self, data: bytes, acknowledged: Callable[[int], None] = lambda count: None) -> None:
        """Put `data` on its way; returns when its last frame has left, or the board reports an error.

        What is unacknowledged by then is looked after by the next call, whichever it is: the line does not fall silent between two.
        Raises LinkBroken when the board falls silent or makes no progress.
        """
        self.progress = time.monotonic()
        self.waiting.extend(cut(data))
        self._fill()
        while self.waiting and not self._failed():
            self._step(acknowledged)

    def flush(self, acknowledged: Callable[[int], None] = lambda count: None) -> None:
        """Returns when everything is acknowledged or the board has something to say. Raises LinkBroken as `send`."""
        while self.flying and not self.messages:
            self._step(acknowledged)

    def _step(self, acknowledged: Callable[[int], None]) -> None:
        before = len(self.flying)
        self._listen(self.wait)
        acknowledged((before - len(self.flying)) * MAX_PAYLOAD)
        self._fill()

    def _fill(self) -> None:
        while self.waiting and self._room(self.waiting[0]):
            block = frame(self.sequence, self.waiting.popleft())
            self.flying.append((self.sequence, block))
            self.sequence = self.sequence + 1 & 255
            self.wire.write(block)

    def _failed(self) -> bool:
        """Whether the board has reported an error: nobody there reads the rest."""
        return any(error_of(value) is not None for value in self.messages)

    def _note_busy(self, data: bytes) -> None:
        if not data.strip(BUSY):
            self.progress = time.monotonic()

    def _check_alive(self) -> None:
        """Raise when the receiver has ended, the board has been silent for too long, or nothing goes forward."""
        self._check_ended()
        now = time.monotonic()
        # At a raised rate a board that restarted is heard as noise for ever: it is back at the old rate.
        limit = GIVE_UP if self.wire.baud == self.wire.home_baud else RAISED_GIVE_UP
        if now - max(self.wire.heard_at, self.progress) > SILENCE or now - self.progress > limit:
            raise LinkBroken("link-silent", f"The board on {self.wire.name} stopped answering in the middle of a transfer.", RETRY)

    def _room(self, payload: bytes) -> bool:
        return sum(len(block) for _, block in self.flying) + len(payload) + 5 <= RING

    def _listen(self, seconds: float) -> None:
        """Take in what the board says; resend when it asks for it or says nothing for `seconds`."""
        data = self.wire.read(seconds)
        if data:
            self._note_busy(data)
            self.heard += data
            self._parse()
            if self.flying and not self.messages:
                self._check_ended()
            return
        self._check_alive()
        if not self.flying:
            self.heard.clear()
            self.wire.write(AGAIN)
        else:
            self.wait = min(self.wait * 2, LAST_WAIT)
            # Whatever part of a frame got lost, padding completes it, and the check finds the damage.
            self.wire.write(PAD * (RING // 2))
            self._resend("silence", self.flying[0][0], limit=1)

    def _resend(self, why: str, sequence: int, limit: int = 99) -> None:
        self.resends += 1
        self.on_resend(why)
        if self.resends > 200:
            raise LinkBroken("line-noisy", f"The line on {self.wire.name} damages too much of what is sent.", RETRY)
        for number, block in list(self.flying)[:limit]:
            if (number - sequence & 255) < 128:
                self.wire.write(block)

    # -- receiving ---------------------------------------------------------------------------------------------------

    def message(self) -> Any:
        """The board's next message. Raises LinkBroken when the board falls silent."""
        self.progress = time.monotonic()
        self._parse()
        while not self.messages:
            self._listen(self.wait if self.flying else ASK_AGAIN)
            if not self.messages:
                self._check_ended()
        return self.messages.popleft()

    def _parse(self) -> None:
        data = self.heard
        while data:
            if data[0] in (ACK, NAK):
                if len(data) < 3:
                    return
                if data[1] ^ data[2] == 255:
                    self._marked(data[0], data[1])
                    del data[:3]
                    continue
            elif data[0] == MESSAGE:
                length = int.from_bytes(data[2:4], "little")
                if len(data) < 4 or (length <= MESSAGE_LIMIT and len(data) < length + 8):
                    return
                body, check = data[: length + 4], data[length + 4 : length + 8]
                if length <= MESSAGE_LIMIT and zlib.crc32(body) == int.from_bytes(check, "little"):
                    self._said(body[1], bytes(body[4:]))
                    del data[: length + 8]
                    continue
            elif data[0] == 4 and (len(data) < 3 or data.startswith(ENDED)):
                return  # the receiver ended: what follows is the raw REPL's
            # Noise, or text that another part of the firmware printed.
            self.skipped = (self.skipped + data[:1])[-80:]
            del data[:1]

    def _marked(self, mark: int, expected: int) -> None:
        gone = 0
        for index, (number, _) in enumerate(self.flying):
            if (expected - number - 1 & 255) < 128:
                gone = index + 1
        if gone:
            self.progress = time.monotonic()
            self.wait = FIRST_WAIT
        for _ in range(gone):
            self.flying.popleft()
        if mark == NAK and self.flying:
            self._resend("damage", expected)

    def _check_ended(self) -> None:
        """Raise when the receiver has ended: the raw prompt is back, or the board starts anew."""
        if any(sign in self.skipped + self.heard for sign in RESTARTED):
            raise LinkBroken("board-restarted", f"The board on {self.wire.name} restarted in the middle of a transfer.", RETRY)
        if not (self.heard.startswith(ENDED) and b"\x04>" in self.heard):
            return
        said = bytes(self.heard).decode("ascii", "replace").strip("\x04>\r\n ").splitlines()
        why = f" with {said[-1][:80]}" if said else ""
        raise LinkBroken("receiver-ended", f"The receiver on {self.wire.name} stopped in the middle of a transfer{why}.", RETRY)

    def _said(self, number: int, text: bytes) -> None:
        if number == self.last_message:
            return
        self.last_message = number
        self.progress = time.monotonic()
        self.messages.append(ast.literal_eval(text.decode()))
