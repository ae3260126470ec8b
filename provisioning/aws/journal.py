"""What a registration has done, one JSON line a step, each on the disk before the next request goes out.

    {"device": "ws-0001", "step": "thing"}
    {"device": "ws-0001", "step": "request", "at": 1767225600}     a certificate is about to be asked for
    {"device": "ws-0001", "step": "certificate", "id": "…", "arn": "…"}
    {"device": "ws-0001", "step": "policy"}
    {"device": "ws-0001", "step": "done"}

A half line at the end (the power went) is cut off; its step is found out from AWS. No secret is ever in it.
One run at a time: the lock is one of SQLite's, which every system has and which goes with its process, however that ends.
Many threads of that run: the lines that wait while the disk is busy go out together with one wait for it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from provisioning.errors import InputError, StationError
from provisioning.parsed import from_json

STEPS = ("thing", "request", "certificate", "policy", "done")
_TIES = sum(1 << STEPS.index(step) for step in ("policy", "done"))


class _Known(NamedTuple):
    """What is remembered of a device, in few bytes: 50,000 of them are in memory. `steps`: a bit for each of STEPS."""

    steps: int = 0
    at: int | None = None
    id: str = ""
    arn: str = ""


_NOTHING = _Known()
_ROW = b'{"device":'  # how each line begins


class Journal:
    """Opened for one run; `of(device)` is what is known: step -> its row. For as many threads as ask."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._known: dict[str, _Known] = {}
        self._ids: set[str] = set()
        self._memory, self._disk = threading.Lock(), threading.Lock()
        self._waiting: list[bytes] = []  # lines that are not written yet
        self._numbered = self._synced = 0  # lines that were added, and those of them that are on the disk
        self._failed: StationError | None = None  # from then on nothing is written: a line may be there in part
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(file)
            self._load()
            self._stream = file.open("ab", buffering=0)
        except OSError as e:
            raise InputError("journal", f"{file} cannot be read or written: {e.strerror}.", "Name another file with --state.") from e

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stream.close()
        if not self._known:
            self.file.unlink(missing_ok=True)  # nothing was done, so nothing is left
        self._lock.close()

    def of(self, device: str) -> dict[str, dict[str, Any]]:
        known = self._known.get(device, _NOTHING)
        facts: dict[str, dict[str, Any]] = {"request": {"at": known.at}, "certificate": {"id": known.id, "arn": known.arn}}
        return {step: facts.get(step, {}) for bit, step in enumerate(STEPS) if known.steps & (1 << bit)}

    def add(self, device: str, step: str, **facts: object) -> None:
        """Returns when the line is on the disk. Raises StationError when it cannot be written."""
        row = {"device": device, "step": step, **facts}
        with self._memory:
            self._waiting.append(json.dumps(row, separators=(",", ":")).encode() + b"\n")
            self._numbered += 1
            mine = self._numbered
        with self._disk:
            if self._synced < mine:  # else who had the disk before has written this one as well
                self._write()
        with self._memory:
            self._remember(row)

    def ids(self) -> set[str]:
        """Certificates that belong to a device already."""
        with self._memory:
            return set(self._ids)

    def has(self, certificate_id: str) -> bool:
        """Whether a certificate belongs to a device already."""
        return certificate_id in self._ids

    def _write(self) -> None:
        if self._failed:
            raise self._failed
        with self._memory:
            lines, self._waiting, upto = b"".join(self._waiting), [], self._numbered
        try:
            while lines:
                lines = lines[self._stream.write(lines) :]
            os.fsync(self._stream.fileno())
        except OSError as e:
            self._failed = StationError("cannot-write", f"{self.file} cannot be written: {e.strerror}.", "Check the disk; run it again.")
            raise self._failed from e
        self._synced = upto

    def _remember(self, row: dict[str, Any]) -> None:
        """Raises ValueError, KeyError, TypeError for a row that was not written here."""
        device, step = row["device"], row["step"]
        known = self._known.get(device, _NOTHING)
        known = known._replace(steps=known.steps | 1 << STEPS.index(step))
        if step == "certificate":
            if not (row["id"] and row["arn"]):
                raise ValueError(step)
            if known.id not in ("", row["id"]):  # another one, which nothing is tied to yet
                known = known._replace(steps=known.steps & ~_TIES)
            known = known._replace(id=row["id"], arn=row["arn"])
            self._ids.add(row["id"])
        elif step == "request":
            known = known._replace(at=int(row["at"]))
        self._known[device] = known

    def _load(self) -> None:
        if not self.file.exists():
            return
        data = self.file.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                self._remember(from_json(line))
            except (ValueError, KeyError, TypeError) as e:
                raise InputError(
                    "bad-journal",
                    f"{self.file}:{number}: this line was not written by a registration.",
                    "Move the file away: the next run finds out from AWS what was done.",
                ) from e
        if len(whole) < len(data):
            if not (tail := data[len(whole) :]).startswith(_ROW) and not _ROW.startswith(tail):
                raise InputError(
                    "bad-journal", f"{self.file}: its end was not written by a registration.", "Name another file with --state."
                )
            with self.file.open("r+b") as stream:
                stream.truncate(len(whole))


def _locked(file: Path) -> sqlite3.Connection:
    """A lock beside the journal, held until it is closed. Raises StationError when another run holds it."""
    lock = sqlite3.connect(file.with_name(f".{file.name}.lock"), timeout=0, isolation_level=None)  # opens lazily: raises below
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as e:
        lock.close()
        if "locked" not in str(e):
            raise InputError("journal", f"{file} cannot be locked: {e}.", "Name another file with --state.") from e
        raise StationError(
            "registration-busy", f"Another run is registering with {file}.", "Wait for it, or stop it; then run this again."
        ) from e
    return lock
