"""The log of one run on one board: what happened and how it ended, a JSON object a line, found by day and MAC.

    LOGS/2026-11-30/240ac4000007.jsonl        all runs of that day on the board 24:0a:c4:00:00:07

Until the board has said its MAC, and where a run is killed, it is `running-….jsonl`; without a MAC it stays `unknown-….jsonl`. There is no
secret in it: events and reports have none, and what boards and systems say is scrubbed. A log that cannot be written is not a reason to
stop a board.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from provisioning import __version__, logs
from provisioning.errors import InputError
from provisioning.errors.table import ROWS
from provisioning.link.events import Event, Listener
from provisioning.scrub import Scrubber

_LIMIT = 256 * 1024  # bytes of one run
_MANY = frozenset({"bytes"})  # kinds of events that come many times a second


class Journal:
    """One run. `take` its events, then `end` it with its report; each does nothing where logs cannot be written."""

    def __init__(self, job: str, port: str | None) -> None:
        self._began = time.monotonic()
        self._size = 0
        self._scrub = Scrubber()
        self._file: IO[str] | None = None
        self._path: Path | None = None
        self._first: dict[str, Any] | None = {"event": "begin", "job": job, "port": port, "toolkit": __version__}

    def _open(self) -> None:
        """With the first event: a command that is refused for what was typed leaves no file."""
        if self._first is None:
            return
        first, self._first = self._first, None
        try:
            self._path = logs.today() / f"running-{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
            self._file = self._path.open("x", encoding="utf-8")
        except (OSError, RuntimeError):
            return
        self._write(first)

    def beside(self, other: Listener) -> Listener:
        """A listener that writes here, and tells `other`."""

        def both(event: Event) -> None:
            self.take(event)
            other(event)

        return both

    def take(self, event: Event) -> None:
        """An event of the job."""
        if event.kind not in _MANY and self._size < _LIMIT:
            self._open()
            self._write({"event": event.kind, **event.data})

    def end(self, report: Mapping[str, Any]) -> None:
        """The outcome; the log gets the board's name."""
        row = ROWS.get(str(report.get("code")))
        if row is None or InputError.exit_code not in row.exits:
            self._open()
        if self._file is None or self._path is None:
            return
        self._write({"event": "end", **{name: value for name, value in report.items() if value not in (None, "", [], {})}})
        try:
            self._file.close()
            mac = str(report.get("mac") or "").replace(":", "").lower()
            self._rename(
                self._path, self._path.with_name(f"{mac}.jsonl" if mac.isalnum() else self._path.name.replace("running", "unknown"))
            )
        except OSError:
            pass
        self._file = None

    def _rename(self, ours: Path, final: Path) -> None:
        if not final.exists():
            ours.rename(final)
            return
        with final.open("ab") as file:
            file.write(ours.read_bytes())
        ours.unlink()

    def _write(self, what: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        row = self._scrub.value({"at": at, "seconds": round(time.monotonic() - self._began, 3), **what})
        line = json.dumps(row, default=str, ensure_ascii=False)
        self._size += len(line)
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except (OSError, ValueError):
            self._file = None
