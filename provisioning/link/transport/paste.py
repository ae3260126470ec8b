"""The paste transport: the same device code, called over the raw REPL; contents as bytes literals. For boards without deflate,
with too little heap for the receiver, or where binary input cannot be had."""

from __future__ import annotations

import json
import time
from typing import Any

from provisioning.errors import BoardError
from provisioning.link import agent
from provisioning.link.answer_check import checked, understood
from provisioning.link.events import Event, Listener, silent
from provisioning.link.payload import Payload
from provisioning.link.repl import RawRepl
from provisioning.link.transport.base import Hello, TransferPlan, device_error, first_plan, none_lost, plan_text

CHUNK = 512  # bytes of content per call: one literal of at most four times that in the board's heap


class PasteSession:
    """A session that runs firmware/link in the board's main name space, function by function."""

    name = "paste"

    def __init__(self, repl: RawRepl, *, events: Listener = silent) -> None:
        self.repl = repl
        self.events = events
        self.committing = False
        self._payload: Payload | None = None
        self._plan: TransferPlan | None = None
        self._loaded: set[str] = set()
        self._load("hello")
        repl.run("def beat():print(end='\\x16')")
        with understood(repl.wire.name):
            self._hello = Hello.of(self._call("hello()"))

    def _load(self, *names: str) -> None:
        for name in names:
            if name not in self._loaded:
                self.repl.run(agent.small(name).encode())
                self._loaded.add(name)

    def _run(self, code: str | bytes) -> bytes:
        try:
            return self.repl.run(code)
        except BoardError as error:
            raise device_error(error, self.repl.wire.name) from error

    def _call(self, expression: str | bytes) -> Any:
        code = expression.encode() if isinstance(expression, str) else expression
        try:
            return self.repl.value(code)
        except BoardError as error:
            raise device_error(error, self.repl.wire.name) from error

    def hello(self) -> Hello:
        return self._hello

    def head(self) -> bytes:
        self._load("head")
        with understood(self.repl.wire.name):
            return bytes(self._call("head()"))

    def prepare(self, payload: Payload) -> TransferPlan:
        first = not self._hello.ours and payload.keeps_home
        self._load("write", "first" if first else "sets")
        text, rest = plan_text(payload)
        more = json.dumps(rest, separators=(",", ":"))
        answer = self._call(b"prepare(" + self.literal(text) + b",ujson.loads(" + self.literal(more.encode()) + b"))")
        with understood(self.repl.wire.name):
            self._plan = first_plan(self._hello, payload) if first else TransferPlan.of(answer)
        self._payload = payload
        return self._plan

    def literal(self, data: bytes) -> bytes:
        return agent.literal(data)

    def transfer(self) -> int:
        if self._payload is None or self._plan is None:
            raise ValueError("prepare() comes before transfer()")
        # A copy that is not what it should be is sent after all.
        send = none_lost(self._payload, self._call("begin()") or self._plan.send, self.repl.wire.name)
        there = self._plan.there(self._payload)
        total = sum(len(self._payload.items[index].content) - there.get(index, 0) for index in send)
        started = time.monotonic()
        done = 0
        for index in reversed(send):
            at = there.get(index, 0)
            for part in self._put(index, self._payload.items[index].content[at:], "a+b" if at else "w+b"):
                done += part
                rate = done / max(1e-6, time.monotonic() - started)
                self.events(Event("bytes", {"done": done, "total": total, "rate": rate, "left": (total - done) / rate}))
            self._call(f"settle({index})")
        self.committing = True
        return int(checked(self._call("commit()"), int, self.repl.wire.name))

    def _put(self, index: int, content: bytes, mode: str) -> Any:
        """Write file `index`, or with the mode "a+b" its end; yields the sizes of the parts as they arrive."""
        self._run(f"_f=open(target({index}),'{mode}')")
        for at in range(0, len(content), CHUNK):
            part = content[at : at + CHUNK]
            self._run(b"_f.write(" + self.literal(part) + b")")
            yield len(part)
        self._call(f"got.__setitem__({index},proved(_f,*files[{index}]))")

    def audit(self) -> dict[str, str]:
        self._load("write", "sets", "extra")
        found: dict[str, str] = checked(self._call("audit()"), dict, self.repl.wire.name)
        return {str(path): str(sha) for path, sha in found.items()}

    def tidy(self) -> None:
        self._load("write", "sets")
        self._call("look() or tidy()")

    def lies(self) -> tuple[int, int]:
        return self._numbers("lies()")

    def back(self) -> tuple[int, int]:
        return self._numbers("back()")

    def _numbers(self, call: str) -> tuple[int, int]:
        self._load("write", "sets", "extra")
        with understood(self.repl.wire.name):
            was, now = self._call(call)
            return int(was), int(now)

    def close(self) -> None:
        """Nothing runs between two calls."""
