"""The streaming transport: one deflate stream in checked frames, unpacked, hashed and written by a receiver that runs in RAM."""

from __future__ import annotations

import json
import time
import zlib
from typing import Any

from provisioning.link import agent
from provisioning.link.events import Event, Listener, silent
from provisioning.link.payload import Item, Payload, pem_parts
from provisioning.link.repl import RawRepl
from provisioning.link.transport.base import Plan, device_error, plan_text
from provisioning.link.transport.frames import Frames

WAIT_MS = 4000  # silence after which the receiver gives the board back


def record(item: Item) -> bytes:
    """A file in the stream: label length, label, 3 bytes of length, content. With a label, content is DER and the board writes PEM."""
    parts = pem_parts(item.content)
    label, body = parts or (b"", item.content)
    return bytes((len(label),)) + label + len(body).to_bytes(3, "little") + body


class StreamSession:
    """A session of the streaming transport. The receiver runs from construction until close()."""

    name = "stream"

    def __init__(self, repl: RawRepl, *, wbits: int = 12, leave: str = "pass", events: Listener = silent) -> None:
        self.repl = repl
        self.events = events
        self._deflate = zlib.compressobj(9, zlib.DEFLATED, -wbits, 9)
        repl.start(agent.receiver(WAIT_MS, wbits, leave))
        self.frames = Frames(repl.wire, on_resend=lambda why: events(Event("resend", {"why": why})))
        self._hello = self._answer()
        self._payload: Payload | None = None
        self._plan: Plan | None = None

    def _answer(self, seconds: float = 30.0) -> Any:
        value = self.frames.message(seconds)
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
            raise device_error(value[0], self.repl.wire.name)
        return value

    def _ask(self, command: bytes, seconds: float = 30.0) -> Any:
        self.frames.send(self._packed(command))
        return self._answer(seconds)

    def _packed(self, data: bytes) -> bytes:
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def hello(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._hello
        return answer

    def prepare(self, payload: Payload) -> Plan:
        text, rest = plan_text(payload)
        more = json.dumps(rest, separators=(",", ":")).encode()
        command = b"P" + len(text).to_bytes(3, "little") + text + len(more).to_bytes(3, "little") + more
        self._payload, self._plan = payload, Plan.of(self._ask(command))
        return self._plan

    def transfer(self) -> int:
        assert self._payload and self._plan
        items = [self._payload.items[index] for index in self._plan.send]
        total = sum(len(item.content) for item in items)
        data = self._packed(b"D" + b"".join(record(item) for item in items))
        started = time.monotonic()
        done = 0

        def acknowledged(count: int) -> None:
            nonlocal done
            done = min(done + count, len(data))
            rate = done / max(1e-6, time.monotonic() - started)
            share = total * done // len(data)
            self.events(Event("bytes", {"done": share, "total": total, "rate": rate, "left": (len(data) - done) / max(rate, 1.0)}))

        self.frames.send(data, acknowledged)
        return int(self._answer())

    def audit(self) -> dict[str, str]:
        found: dict[str, str] = self._ask(b"A")
        return found

    def tidy(self) -> None:
        self._ask(b"T")

    def back(self) -> tuple[int, int]:
        was, now = self._ask(b"B")
        return int(was), int(now)

    def close(self) -> None:
        self._ask(b"Q")
        self.repl.wire.unread(bytes(self.frames.heard))
        self.repl.follow(5.0)
