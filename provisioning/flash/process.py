"""esptool as a process of its own: its licence is the GPL, and its logger belongs to a whole process.

Never through a shell; no secret is in its arguments (the file-system image is a file of mode 0600 in a folder of its own).
"""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from provisioning.errors import StationError

SILENCE = 60.0  # seconds without a byte of output until esptool is taken for dead; a block takes 1.5 s at 115200
# The last line before esptool waits without a limit of its own -> seconds that it gets. A flasher says its first word in milliseconds.
STUB_STARTS = "Running stub flasher..."
_BRIEF = {STUB_STARTS: 10.0}
_GRACE = 3.0  # seconds that a process gets to end after it was asked to

# What esptool prints is read by machines here: no colours, no terminal width, UTF-8 on every system.
_ENVIRONMENT = {
    "NO_COLOR": "1",
    "TERM": "dumb",
    "COLUMNS": "100",
    "PYTHONUTF8": "1",
    "PYTHONIOENCODING": "utf-8:replace",
    "PYTHONUNBUFFERED": "1",
}
_PROXIES = ("LINES", "FORCE_COLOR", "ESPTOOL_PORT", "ESPTOOL_BAUD", "ESPTOOL_CHIP", "ESPTOOL_BEFORE", "ESPTOOL_AFTER")

LineListener = Callable[[str], None]


@dataclass(frozen=True)
class Ended:
    """How a run ended: `code` None when it was killed for its silence."""

    code: int | None
    output: str
    seconds: float


def command(arguments: Sequence[str]) -> list[str]:
    """The argument vector of an esptool run."""
    return [sys.executable, "-m", "esptool", *arguments]


def arguments_of(argv: Sequence[str]) -> list[str] | None:
    """esptool's own arguments in what `command` made; None for another program's."""
    cold = command(())
    return list(argv[len(cold) :]) if list(argv[: len(cold)]) == cold else None


class Running(Protocol):
    """What is needed of a process here; subprocess.Popen has it."""

    @property
    def stdout(self) -> IO[bytes] | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float) -> int: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class Source(Protocol):
    """Where processes come from that have started already."""

    def take(self, argv: Sequence[str]) -> Running | None:
        """One that runs `argv` now, None when there is none."""


def start(
    argv: Sequence[str], *, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.PIPE, pass_fds: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    """The process. Raises StationError when it cannot be started."""
    environment = {name: value for name, value in os.environ.items() if name not in _PROXIES} | _ENVIRONMENT
    try:
        # A session of its own: control-C reaches this process only, which then ends the other in order.
        return subprocess.Popen(
            list(argv),
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=pass_fds,
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    except OSError as error:
        raise StationError("no-esptool", f"esptool cannot be started: {error.strerror}.", "pip install 'esptool>=5.2,<6'") from None


def run(
    argv: Sequence[str],
    log: Path | None = None,
    on_line: LineListener = lambda _line: None,
    silence: float = SILENCE,
    source: Source | None = None,
) -> Ended:
    """Run `argv` until it ends; each line goes to `on_line` as soon as it is whole, everything to `log`.

    `source`: what may have a process for it already. The process is gone when this returns or raises, control-C included. Raises
    StationError when it cannot be started.
    """
    started = time.monotonic()
    process = (source.take(argv) if source is not None else None) or start(argv)
    chunks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    reader = threading.Thread(target=_pump, args=(process.stdout, chunks), daemon=True)
    reader.start()
    collected = bytearray()
    try:
        code = _follow(process, chunks, collected, on_line, silence)
    finally:
        _end(process)
        reader.join(_GRACE)
        if log is not None:
            _keep(log, argv, bytes(collected))
    return Ended(code, collected.decode("utf-8", "replace"), time.monotonic() - started)


def _pump(stdout: IO[bytes] | None, chunks: queue.SimpleQueue[bytes]) -> None:
    """Everything the process prints, as it comes; b"" at its end."""
    assert stdout is not None  # noqa: S101 - it was started with a pipe
    descriptor = stdout.fileno()
    while True:
        chunk = os.read(descriptor, 65536)
        chunks.put(chunk)
        if not chunk:
            return


def _follow(process: Running, chunks: queue.SimpleQueue[bytes], collected: bytearray, on_line: LineListener, silence: float) -> int | None:
    pending = b""
    last = ""
    while True:
        try:
            chunk = chunks.get(timeout=min(silence, _BRIEF.get(last, silence)))
        except queue.Empty:
            return None
        if not chunk:
            if pending:
                on_line(pending.decode("utf-8", "replace"))
            return process.wait(timeout=_GRACE)
        collected += chunk
        *lines, pending = re.split(rb"[\r\n]+", pending + chunk)
        for line in lines:
            if line.strip():
                last = line.decode("utf-8", "replace").rstrip()
                on_line(last)


def _end(process: Running) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_GRACE)


def _keep(log: Path, argv: Sequence[str], output: bytes) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        stream.write(b"$ " + " ".join(argv).encode() + b"\n" + output.rstrip() + b"\n\n")
