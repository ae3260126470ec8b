"""A session on a port as a file: a JSON object a line, in the order in which things happened.

    {"session": 1, "port": "/dev/ttyUSB0"}
    {"at": 0.0012, "tx": "\\r\\u0003\\u0003\\u0001"}         bytes that the host sent, as characters 0 to 255
    {"at": 0.0105, "rx": "raw REPL; CTRL-B to exit\\r\\n>"}  bytes that the board sent
    {"at": 0.2000, "baudrate": 921600}                     and dtr, rts (true: asserted), open, close

`at` is in seconds since the first. A file holds all that was sent, keys of devices among it: it is made for its owner alone.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TextIO

from provisioning import output_file
from provisioning.errors import InputError, StationError
from provisioning.link.tap import RX, SETTINGS, TX

VERSION = 1
_KINDS = frozenset({RX, TX, "open", "close", *SETTINGS})
_NEXT = "`twinroot record --port PORT FILE` makes one."


class Step(NamedTuple):
    """`what` as link/tap.py has it; `value` is bytes for "rx" and "tx"."""

    at: float
    what: str
    value: Any


class Recorder:
    """A listener of ports (link/tap.py) that writes what passes; a context manager. `port`: only this one, None for every one.

    The file begins with the first port that is open: a port that cannot be had leaves an earlier recording as it is.
    """

    def __init__(self, file: Path, port: str | None = None) -> None:
        self._file = file
        self._port = port
        self._out: TextIO | None = None
        self._ended = False
        self._start: float | None = None
        self.counts = {RX: 0, TX: 0}

    def __enter__(self) -> Recorder:
        """Raises StationError where the file cannot be written, InputError where it is another file than a recording."""
        if not self._file.parent.is_dir():
            raise StationError("cannot-write", f"{self._file} cannot be written: its folder is not there.", "Name another file.")
        output_file.check(self._file, output_file.RECORDING)
        return self

    def _begin(self) -> None:
        try:
            handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            self._file.chmod(0o600)
        except OSError as error:
            raise StationError(
                "cannot-write", f"{self._file} cannot be written: {error.strerror or error}.", "Name another file."
            ) from None
        self._out = os.fdopen(handle, "w", encoding="utf-8")
        self._line({"session": VERSION, "port": self._port or ""})

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._ended = True
        out, self._out = self._out, None
        if out is not None:
            out.close()

    def __call__(self, port: str, what: str, value: Any, at: float) -> None:
        if self._ended or self._port not in (None, port):
            return
        if self._out is None:
            self._begin()
        if self._start is None:
            self._start = at
        if what in self.counts:
            self.counts[what] += len(value)
            value = value.decode("latin-1")
        self._line({"at": round(at - self._start, 6), what: True if value is None else value})

    def _line(self, fields: dict[str, Any]) -> None:
        if self._out is not None:
            self._out.write(json.dumps(fields) + "\n")
            self._out.flush()  # a session that ends in a crash is worth most


def read(file: Path) -> list[Step]:
    """The steps of a recorded session. Raises InputError for a file that is none."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise InputError("bad-recording", f"{file} cannot be read: {why}.", _NEXT) from None
    steps = []
    for number, line in enumerate(lines, 1):
        try:
            fields = json.loads(line)
            if number == 1:
                if fields["session"] != VERSION:
                    raise ValueError("another form")
                continue
            [what] = set(fields) & _KINDS
            value = fields[what]
            steps.append(Step(float(fields["at"]), what, value.encode("latin-1") if what in (RX, TX) else value))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError("bad-recording", f"{file}:{number}: this is not a recorded session ({type(error).__name__}).", _NEXT) from None
    if not lines:
        raise InputError("bad-recording", f"{file} is empty.", _NEXT)
    return steps
