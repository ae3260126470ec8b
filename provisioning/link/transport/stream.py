"""The streaming transport: one deflate stream in checked frames. Code goes through it too, so each session sends only what it needs."""

from __future__ import annotations

import json
import time
import zlib
from typing import Any

from provisioning.link import agent
from provisioning.link.events import Event, Listener, silent
from provisioning.link.payload import Item, Payload, pem_parts
from provisioning.link.repl import RawRepl
from provisioning.link.transport.base import Hello, LinkBroken, Plan, device_error, first_plan, plan_text
from provisioning.link.transport.frames import RETRY, Frames

WBITS = 12  # the deflate window on the board: 4 KB
WAIT_MS = 4000  # silence after which the receiver gives the board back; core.py starts with the same


def size3(length: int) -> bytes:
    return length.to_bytes(3, "little")


def record(item: Item) -> bytes:
    """A file in the stream: label length, label, 3 bytes of length, content. With a label, content is DER and the board writes PEM."""
    parts = pem_parts(item.content)
    label, body = parts or (b"", item.content)
    return bytes((len(label),)) + label + size3(len(body)) + body


class StreamSession:
    """A session of the streaming transport. The receiver runs on the board from construction until close()."""

    name = "stream"

    def __init__(self, repl: RawRepl, *, rate: int | None = None, events: Listener = silent) -> None:
        self.repl = repl
        self.wire = repl.wire
        self.events = events
        self._sent: set[str] = set()
        self._deflate = zlib.compressobj(9, zlib.DEFLATED, -WBITS, 9)
        repl.start(agent.core(WBITS))
        self.frames = Frames(self.wire, on_resend=lambda why: events(Event("resend", {"why": why})))
        self._answer()
        if rate and rate != self.wire.baud:
            self._climb(rate)
        self._hello = Hello.of(self._call("say(hello())", "hello"))
        self._payload: Payload | None = None
        self._plan: Plan | None = None

    # -- calls -------------------------------------------------------------------------------------------------------

    def _answer(self, seconds: float = 30.0) -> Any:
        value = self.frames.message(seconds)
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
            raise device_error(value[0], self.wire.name)
        return value

    def _program(self, call: str, *needed: str) -> bytes:
        """`call` as a program for the board, after those of the files it needs that this session has not sent yet."""
        sources = [agent.small(name) for name in needed if name not in self._sent]
        self._sent.update(needed)
        code = ("".join(sources) + call).encode()
        return size3(len(code)) + code

    def _packed(self, data: bytes) -> bytes:
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def _call(self, call: str, *needed: str, data: bytes = b"") -> Any:
        self.frames.send(self._packed(self._program(call, *needed) + data))
        return self._answer()

    def _climb(self, rate: int) -> None:
        """Both ends to `rate`, proved by a call. Raises LinkBroken when it does not hold: the receiver then ends at the old rate."""
        home = self.wire.baud
        self.frames.send(self._packed(self._program(f"climb({rate},{home})", "rate")))
        time.sleep(0.003)  # the board waits 5 ms for its last byte to leave, then it switches
        self.wire.baud = rate
        time.sleep(0.005)
        try:
            self.frames.send(self._packed(self._program(f"patience={WAIT_MS}")), patience=0.4)
        except LinkBroken as error:
            self.wire.baud = home
            time.sleep(0.8)
            raise LinkBroken("rate-not-held", f"The line on {self.wire.name} does not hold {rate} baud.", RETRY) from error
        self.events(Event("baud", {"baud": rate}))

    # -- Session -----------------------------------------------------------------------------------------------------

    def hello(self) -> Hello:
        return self._hello

    def prepare(self, payload: Payload) -> Plan:
        text, rest = plan_text(payload)
        more = json.dumps(rest, separators=(",", ":")).encode()
        data = size3(len(text)) + text + size3(len(more)) + more
        call = "say(prepare(stream.read(number()),json.loads(stream.read(number()))))"
        if self._hello.ours:
            self._plan = Plan.of(self._call(call, "write", "sets", data=data))
        else:
            self._plan = first_plan(self._call(call, "write", "first", data=data), self._hello, payload)
        self._payload = payload
        return self._plan

    def transfer(self) -> int:
        if self._payload is None or self._plan is None:
            raise ValueError("prepare() comes before transfer()")
        items = [self._payload.items[index] for index in self._plan.send]
        total = sum(len(item.content) for item in items)
        data = self._packed(self._program("say(take())", "store") + b"".join(record(item) for item in items))
        started = time.monotonic()
        done = 0

        def acknowledged(count: int) -> None:
            nonlocal done
            done = min(done + count, len(data))
            rate = done / max(1e-6, time.monotonic() - started)
            progress = {"done": total * done // len(data), "total": total, "rate": rate, "left": (len(data) - done) / max(rate, 1.0)}
            self.events(Event("bytes", progress))

        self.frames.send(data, acknowledged)
        return int(self._answer(60.0))

    def audit(self) -> dict[str, str]:
        found: dict[str, str] = self._call("say(audit())", "write", "sets", "extra")
        return found

    def tidy(self) -> None:
        self._call("look()\ntidy()\nsay(0)", "write", "sets")

    def back(self) -> tuple[int, int]:
        was, now = self._call("say(back())", "write", "sets", "extra")
        return int(was), int(now)

    def close(self) -> None:
        """End the receiver: the rate is the old one again, and the board at its raw prompt."""
        home = self.wire.home_baud
        raised = self.wire.baud != home
        self.frames.send(self._packed(size3(0)))
        if raised:
            # The board waits 5 ms, then changes its rate and shows the prompt.
            self.wire.baud = home
        self.wire.unread(bytes(self.frames.heard))
        if raised or not self.wire.until(b"\x04\x04>", 1.0).endswith(b"\x04\x04>"):
            self.repl.enter()
