"""What a registration has done, one JSON line a step, each on the disk before the next request goes out.

    {"device": "ws-0001", "step": "thing"}
    {"device": "ws-0001", "step": "request", "at": 1767225600}     a certificate is about to be asked for
    {"device": "ws-0001", "step": "certificate", "id": "…", "arn": "…"}
    {"device": "ws-0001", "step": "policy"}
    {"device": "ws-0001", "step": "done"}

A half line at the end (the power went) is cut off; its step is found out from AWS. No secret is ever in it.
One run at a time: the lock is one of SQLite's, which every system has and which goes with its process, however that ends.
"""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Any

from provisioning.errors import InputError, StationError
from provisioning.parsed import from_json

STEPS = ("thing", "request", "certificate", "policy", "done")


class Journal:
    """Opened for one run; `of(device)` is what is known: step -> its row."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._known: dict[str, dict[str, dict[str, Any]]] = {}
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(file)
            self._load()
            self._stream = file.open("ab")
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
        return self._known.get(device, {})

    def add(self, device: str, step: str, **facts: object) -> None:
        row = {"device": device, "step": step, **facts}
        self._stream.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._known.setdefault(device, {})[step] = row

    def ids(self) -> set[str]:
        """Certificates that belong to a device already."""
        return {steps["certificate"]["id"] for steps in self._known.values() if "certificate" in steps}

    def _load(self) -> None:
        if not self.file.exists():
            return
        data = self.file.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                row = from_json(line)
                self._known.setdefault(row["device"], {})[row["step"]] = row
                if row["step"] not in STEPS or (row["step"] == "certificate" and not (row["id"] and row["arn"])):
                    raise ValueError(row["step"])
            except (ValueError, KeyError, TypeError) as e:
                raise InputError(
                    "bad-journal",
                    f"{self.file}:{number}: this line was not written by a registration.",
                    "Move the file away: the next run finds out from AWS what was done.",
                ) from e
        if len(whole) < len(data):
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
