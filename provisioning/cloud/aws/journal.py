"""What a registration has done, one JSON line a step, each on the disk before the next request goes out.

    {"device": "ws-0001", "step": "thing"}
    {"device": "ws-0001", "step": "request", "at": 1767225600}     a certificate is about to be asked for
    {"device": "ws-0001", "step": "certificate", "id": "…", "arn": "…"}
    {"device": "ws-0001", "step": "policy"}
    {"device": "ws-0001", "step": "done"}

A half line at the end (the power went) is cut off; its step is found out from AWS. No secret is ever in it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from provisioning.errors import InputError

STEPS = ("thing", "request", "certificate", "policy", "done")


class Journal:
    """Opened for one run; `of(device)` is what is known: step -> its row."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._known: dict[str, dict[str, dict[str, Any]]] = {}
        try:
            self._load()
            file.parent.mkdir(parents=True, exist_ok=True)
            self._stream = file.open("ab")
        except OSError as e:
            raise InputError("journal", f"{file} cannot be read or written: {e.strerror}.", "Name another file with --state.") from e

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stream.close()

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
                row = json.loads(line)
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
