"""A program on a terminal of its own: what it draws, as a person sees it, and keys that are typed there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

import pyte


class Terminal:
    """A context manager. `raw`: every byte that the program wrote."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], lines: int = 24, columns: int = 80) -> None:
        self.raw = b""
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.process = subprocess.Popen(
            list(command),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LINES": str(lines), "COLUMNS": str(columns)},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    @property
    def lines(self) -> list[str]:
        """The screen as it is now."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def scrolled(self) -> str:
        """All that was written, without the sequences that move and colour."""
        return self.raw.decode("utf-8", "replace")

    @property
    def after(self) -> str:
        """What was written on the ordinary screen, once the program's own was left."""
        text = self.raw.rpartition(b"\x1b[?1049l")[2].decode("utf-8", "replace")
        return re.sub(r"\x1b\[[?<>=0-9;]*[A-Za-z]", "", text).replace("\r\n", "\n")

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def record(self, enough: Callable[[], bool]) -> list[tuple[float, bytes]]:
        """What the program writes, with the time (time.monotonic()) of each piece, until it is enough; nothing of it is drawn here: that
        takes longer than to write it."""
        made = []
        while not enough():
            if select.select([self._ours], [], [], 0.2)[0]:
                made.append((time.monotonic(), os.read(self._ours, 65536)))
        return made

    def draw(self, data: bytes) -> None:
        """Onto the screen."""
        self.raw += data
        self._stream.feed(data)

    def until(self, seen: Callable[[str], bool] | str, seconds: float = 60.0) -> float:
        """Waits until the screen shows it; when that was (time.monotonic()). Raises AssertionError with the screen."""
        wanted = (lambda text: seen in text) if isinstance(seen, str) else seen
        deadline = time.monotonic() + seconds
        while not wanted(self.text):
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"not on the screen: {seen!r}\n{self.text}\nstatus: {self.process.poll()}")
        return time.monotonic()

    def wait(self, seconds: float = 60.0) -> int:
        """The exit code, once the program has ended and all of it is on the screen."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"it does not end\n{self.text}")
            self._read(0.1)
        while self._read(0.0):
            pass
        return self.process.returncode

    @property
    def restored(self) -> bool:
        """Whether the terminal is as it was: echo, lines, signals; and its ordinary screen is shown."""
        now = termios.tcgetattr(self._theirs)
        return now[:4] == self.before[:4] and self.raw.rfind(b"\x1b[?1049l") >= self.raw.rfind(b"\x1b[?1049h")

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(0.0, seconds))
        if not ready:
            return False
        self.draw(os.read(self._ours, 65536))
        return True

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)
