"""The streaming transport: one deflate stream in checked frames. Code goes through it too, so each session sends only what it needs."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterable
from typing import Any

from provisioning.link import agent
from provisioning.link.answer_check import checked, understood
from provisioning.link.events import Event, Listener, silent
from provisioning.link.payload import Item, Payload, pem_parts
from provisioning.link.repl import PASTE, RETRY, LinkBroken, RateLate, RawRepl
from provisioning.link.transport.base import Hello, TransferPlan, device_error, first_plan, none_lost, plan_text
from provisioning.link.transport.frames import Frames, error_of
from provisioning.link.wire import RateRefused


def size3(length: int) -> bytes:
    return length.to_bytes(3, "little")


def record(item: Item, there: int = 0) -> bytes:
    """A file in the stream: label length, label, 3 bytes of length, content. With a label, content is DER and the board writes PEM.

    `there`: bytes of the file's beginning that the board holds.
    """
    parts = None if there else pem_parts(item.content)
    label, body = parts or (b"", item.content[there:])
    return bytes((len(label),)) + label + size3(len(body)) + body


def _joined(records: Iterable[bytes]) -> list[bytes]:
    """The records, neighbours of one kind (files, certificates, keys) joined: they deflate best with one table."""
    parts: list[bytes] = []
    for made in records:
        if parts and made[: made[0] + 1] == parts[-1][: made[0] + 1]:
            parts[-1] += made
        else:
            parts.append(made)
    return parts


_END = size3(0)  # an empty program ends the receiver
_PREPARE = "prepare(stream.read(number()),eval(stream.read(number())))"


def _plan_data(text: bytes, rest: list[Any]) -> bytes:
    """The two arguments of the device's prepare(), each with its length."""
    more = json.dumps(rest, separators=(",", ":")).encode()  # what JSON and Python write alike
    return size3(len(text)) + text + size3(len(more)) + more


class StreamSession:
    """A session of the streaming transport. The receiver runs on the board from construction until close()."""

    name = "stream"

    def __init__(self, repl: RawRepl, *, rate: int | None = None, events: Listener = silent) -> None:
        self.repl = repl
        self.wire = repl.wire
        self.events = events
        self._sent: set[str] = set()
        self._transferring = False
        self._ended = False  # whether the end of the session has been sent
        raised = bool(rate and rate != self.wire.baud)
        waiting = False
        if rate and raised:
            waiting = raise_rate(repl, rate)
            events(Event("baud", {"baud": rate}))
        self.wire.carried_at = self.wire.baud
        repl.start(agent.core(self.wire.home_baud if raised else None), asked=waiting)
        self.frames = Frames(self.wire, on_resend=lambda why: events(Event("resend", {"why": why})))
        self._deflate = zlib.compressobj(9, zlib.DEFLATED, -int(self._answer()), 9)
        # The line carries what every session needs while the board thinks and its answer comes back.
        self.frames.send(self._packed(self._program("say(hello())", "hello") + self._program("", "write")))
        asked = time.monotonic()
        answer = self._answer()
        with understood(self.wire.name):
            self._hello = Hello.of(answer)
        self.wire.pace.learn(time.monotonic() - asked, look=True)
        self._payload: Payload | None = None
        self._plan: TransferPlan | None = None

    # -- calls -------------------------------------------------------------------------------------------------------

    def _answer(self) -> Any:
        value = self.frames.message()
        error = error_of(value)
        if error is not None:
            raise device_error(error, self.wire.name)
        return value

    def _program(self, call: str, *needed: str) -> bytes:
        """`call` as a program for the board, after those of the files it needs that this session has not sent yet."""
        sources = [agent.small(name) for name in needed if name not in self._sent]
        self._sent.update(needed)
        code = ("".join(sources) + call).encode()
        return size3(len(code)) + code

    def _packed(self, *parts: bytes) -> bytes:
        """The next piece of the stream. Code, DER and base64 deflate best with a table each: a part begins a block when that is shorter."""
        if len(parts) == 1:
            return self._deflate.compress(parts[0]) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        made = []
        for between in (zlib.Z_BLOCK, zlib.Z_NO_FLUSH):
            squeeze = self._deflate.copy()
            data = b"".join(squeeze.compress(part) + squeeze.flush(between) for part in parts)
            made.append((data + squeeze.flush(zlib.Z_SYNC_FLUSH), squeeze))
        data, self._deflate = min(made, key=lambda one: len(one[0]))
        return data

    def _call(self, call: str, *needed: str, data: bytes = b"") -> Any:
        self.frames.send(self._packed(self._program(call, *needed) + data))
        return self._answer()

    # -- Session -----------------------------------------------------------------------------------------------------

    def hello(self) -> Hello:
        return self._hello

    def head(self) -> bytes:
        with understood(self.wire.name):
            return bytes(self._call("say(head())", "head"))

    @property
    def _holds_sets(self) -> bool:
        return self._hello.ours or not (self._payload and self._payload.keeps_home)

    def prepare(self, payload: Payload) -> TransferPlan:
        self._payload = payload
        if self._holds_sets:
            text, rest = plan_text(payload)
            answer = self._call(f"say({_PREPARE})", "sets", data=_plan_data(text, rest))
            with understood(self.wire.name):
                self._plan = TransferPlan.of(answer)
        else:
            self._plan = first_plan(self._hello, payload)
        return self._plan

    def transfer(self) -> int:
        if self._payload is None or self._plan is None:
            raise ValueError("prepare() comes before transfer()")
        send = self._plan.send
        if self._plan.copy:  # a copy that is not what it should be is sent after all
            send = tuple(none_lost(self._payload, self._call("say(begin())"), self.wire.name))
            begin = ""
        else:
            begin = "begin()\n"
        there = {index: size for index, size in self._plan.there(self._payload).items() if index in send}
        records = _joined(record(self._payload.items[index], there.get(index, 0)) for index in reversed(send))
        take = f"{begin}say(take({list(there)}))"
        if self._holds_sets:
            parts = [self._program(take, "store"), *records]
        else:
            _, rest = plan_text(self._payload)
            rest[1] = 0  # sizes, which only a board with sets needs
            program = self._program(f"{_PREPARE}\n{take}", "first", "store")
            parts = [program + _plan_data(self._payload.blank_set_json, rest), *records]
        total = sum(len(self._payload.items[index].content) - there.get(index, 0) for index in send)
        # The end of the session travels along: nothing comes after a commit. A lost answer is found out by asking the board anew.
        parts[-1] += _END
        self._ended = True
        packed = self._packed(*parts)
        progress = Progress(len(packed), total, self.events)
        self._transferring = True
        self.frames.send(packed, progress)
        self.frames.flush(progress)
        return int(checked(self._answer(), int, self.wire.name))

    @property
    def committing(self) -> bool:
        """The last frame holds little more than the end of the session."""
        return self._transferring and len(self.frames.waiting) <= 1

    def audit(self) -> dict[str, str]:
        found: dict[str, str] = checked(self._call("say(audit())", "sets", "extra"), dict, self.wire.name)
        return {str(path): str(sha) for path, sha in found.items()}

    def tidy(self) -> None:
        self._call("look()\ntidy()\nsay(0)", "sets")

    def lies(self) -> tuple[int, int]:
        return self._numbers("say(lies())")

    def back(self) -> tuple[int, int]:
        return self._numbers("say(back())")

    def _numbers(self, call: str) -> tuple[int, int]:
        answer = self._call(call, "sets", "extra")
        with understood(self.wire.name):
            was, now = answer
            return int(was), int(now)

    def close(self) -> None:
        """End the receiver: the rate is the old one again, and the board at its raw prompt."""
        home = self.wire.home_baud
        raised = self.wire.baud != home
        if not self._ended:
            self.frames.send(self._packed(_END))
            self.frames.flush()
        if raised:
            # The board waits 3 ms after its last word, then changes its rate and shows the prompt.
            self.wire.baud = home
        self.wire.unread(bytes(self.frames.received))
        # A prompt that came while this end still listened at the old rate is asked for again.
        back = self.wire.until(b"\x04\x04>", 0.06 if raised else 1.0).endswith(b"\x04\x04>")
        # What was sent twice may have reached the prompt instead of the receiver: a frame is full of bytes that mean something there.
        if not back or (self.frames.resends and not self.repl.resume()):
            self.repl.enter()


_SETTLES = 0.008  # seconds: after OK a fast board compiles and imports, waits 2 ms for its last byte to leave, and switches
_PROOF_EVERY = 0.05  # seconds between two proofs: what comes while the chip sets up its UART is lost
_PROOF_LIMIT = 1.0  # seconds until a rate is given up
_HOME = 1.5  # seconds until a board that heard no proof is back: 0.4 s of silence, and its UART once more
_DONE = b"\x04\x04>"


def raise_rate(repl: RawRepl, rate: int) -> bool:
    """Both ends of the line to `rate`, proved by a few bytes. Raises LinkBroken, with both ends as before, when that cannot be had.

    The board is asked for raw paste mode at once, in the same turn of the line: True when its answer is the next program's to read.
    """
    wire = repl.wire
    home = wire.baud
    repl.start(agent.raised(rate, home))
    try:
        wire.baud = rate
    except RateRefused as error:
        wire.until(_DONE, _HOME)  # the board hears no proof, and comes back
        repl.enter()
        raise LinkBroken(error.code, error.message, error.hint) from error
    time.sleep(_SETTLES)
    started = time.monotonic()
    wire.write(agent.PROOF + PASTE)
    heard = wire.until(_DONE, 2 * _PROOF_EVERY)
    if heard.endswith(_DONE):
        return True
    while time.monotonic() - started < _PROOF_LIMIT:
        wire.write(agent.PROOF)
        heard += wire.until(_DONE, _PROOF_EVERY)
        if _DONE in heard:
            if repl.resume():  # what followed the first proof that counted is no program
                return False
            break
    wire.baud = home
    back = wire.until(_DONE, _HOME).endswith(_DONE)
    repl.enter()
    if back:
        message = f"The board on {wire.name} was not heard at {rate} baud: it, its adapter or the cable does not take that rate."
        raise LinkBroken("rate-not-held", message, RETRY)
    raise RateLate("rate-late", f"The board on {wire.name} did not answer at {rate} baud within {_PROOF_LIMIT:.0f} s.", RETRY)


class Progress:
    """Turns acknowledged bytes of the stream into events about bytes of files."""

    def __init__(self, packed: int, plain: int, events: Listener) -> None:
        self._packed = packed
        self._plain = plain
        self._events = events
        self._done = 0
        self._started = time.monotonic()

    def __call__(self, count: int) -> None:
        if not count:
            return
        self._done = min(self._done + count, self._packed)
        rate = self._done / max(1e-6, time.monotonic() - self._started)
        left = (self._packed - self._done) / max(rate, 1.0)
        done = self._plain * self._done // self._packed
        self._events(Event("bytes", {"done": done, "total": self._plain, "rate": rate, "left": left}))
