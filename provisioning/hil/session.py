"""The test's own connection to a board: opened when it is needed, given up when another program is to have the port."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from contextlib import ExitStack

from provisioning.errors import BoardError, StationError
from provisioning.hil.raised import Segment, raised
from provisioning.link.port import Wiring, open_port
from provisioning.link.repl import LinkBroken, RawRepl
from provisioning.link.wire import Wire

CLOSED, FREE, PROMPT, RUNNING = "closed", "free", "prompt", "running"
_ENDED = re.compile(rb"([^\x04]*)\x04([^\x04]*)\x04>", re.DOTALL)
_SLICE = 0.1  # seconds of one look at the line


class Session:
    """`state`: "closed"; "free": the board does what it likes; "prompt": it waits in the raw REPL; "running": a program of `start`.

    `output` is all text that programs printed, without the protocol around it, in order.
    """

    def __init__(self, baud: int) -> None:
        self._wiring = Wiring(baud=baud)
        self._undo = ExitStack()
        self._repl: RawRepl | None = None
        self._frame = bytearray()  # of a running program: what is not yet known to be its output or its end
        self._cr = b""
        self._segments: Sequence[Segment] = ()
        self.state = CLOSED
        self.output = bytearray()

    # -- the port ----------------------------------------------------------------------------------------------------

    def open(self, port: str) -> Wire:
        """The wire to `port`, opened unless it is. Raises TwinrootError."""
        if self._repl is None:
            wire = self._undo.enter_context(open_port(port, self._wiring))
            self._repl = RawRepl(wire)
            self.state = FREE
        return self._repl.wire

    def close(self) -> None:
        """Gives the port up. What runs on the board goes on."""
        self._repl = None
        self.state = CLOSED
        self._undo.close()

    def prompt(self, port: str) -> RawRepl:
        """The raw prompt: what runs is interrupted. Raises BoardError with what the board says instead."""
        self.open(port)
        repl = self._repl
        assert repl is not None  # noqa: S101
        if self.state != PROMPT:
            try:
                repl.enter()
            except (BoardError, StationError):
                self.state = FREE
                raise
            self.state = PROMPT
        return repl

    def freed(self) -> None:
        """The board restarts, or another hand took it: what is at its prompt now is not known."""
        if self.state != CLOSED:
            self.state = FREE
            self._frame.clear()

    # -- programs ----------------------------------------------------------------------------------------------------

    def run(self, port: str, source: str, seconds: float, segments: Sequence[Segment] = ()) -> str:
        """What `source` printed. Raises BoardRaised, or LinkBroken when it does not end or the board restarts."""
        repl = self.prompt(port)
        try:
            printed, error = repl.outcome(source, seconds)
        except (LinkBroken, StationError):
            self.state = FREE
            raise
        self.output += _text(printed)
        if error:
            raise raised(error.decode("utf-8", "replace"), segments)
        return _text(printed).decode("utf-8", "replace")

    def start(self, port: str, source: str, segments: Sequence[Segment] = ()) -> None:
        """Starts `source` and returns at once."""
        repl = self.prompt(port)
        repl.start(source)
        self._frame.clear()
        self._segments = segments
        self.state = RUNNING

    def read(self, port: str, seconds: float) -> bool:
        """Waits up to `seconds` for output; whether anything came. Raises BoardRaised when the running program ended with an exception."""
        data = self.open(port).read(min(seconds, _SLICE) if seconds > 0 else 0.0)
        if not data:
            return False
        if self.state != RUNNING:
            # A CR at the end waits for its LF.
            whole = self._cr + data
            self._cr = b"\r" if whole.endswith(b"\r") else b""
            self.output += _text(whole.removesuffix(b"\r"))
            return True
        self._frame += data
        ended = _ENDED.match(self._frame)
        done = ended[1] if ended else self._frame.partition(b"\x04")[0]
        if ended is None:
            # All but a last CR, whose LF may be on its way, and what may be the program's end.
            keep = 1 if bytes(done).endswith(b"\r") else 0
            plain = bytes(done[: len(done) - keep])
            self.output += _text(plain)
            del self._frame[: len(plain)]
            return True
        self.output += _text(bytes(done))
        error = ended[2]
        self._frame.clear()
        self.state = PROMPT
        if error:
            raise raised(bytes(error).decode("utf-8", "replace"), self._segments)
        return True

    def wait(self, port: str, seconds: float) -> bool:
        """Whether the program of `start` ends within `seconds`."""
        deadline = time.monotonic() + seconds
        while self.state == RUNNING:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.read(port, left)
        return True


def _text(data: bytes) -> bytes:
    """Line ends as a test writes them; signs of life of our own code are no output."""
    return data.replace(b"\r\n", b"\n").replace(b"\x16", b"")
