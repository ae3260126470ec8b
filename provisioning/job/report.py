"""The one report that flash, update, verify, rollback and each row of a station end in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from provisioning.errors import TwinrootError
from provisioning.job.active import UNTOUCHED, sentence
from provisioning.link.events import Event, Listener, silent


@dataclass
class Report:
    """Field names are fixed (scripts rely on them). `outcome` is "pass", "fail" (the board) or "error" (input or station).

    `written`: what was written and committed, or for code "dry-run" what would be; empty when no commit is known.
    `certificate`: of the device, {sha256, serial, not_after}, where the board has just said that it holds it.
    `firmware_version`: of the MicroPython that the board says it runs, where that was asked.
    `active`: of a run that was to change the active set and did not pass, "untouched", "old", "new" or "unknown" (job/active.py).
    """

    outcome: str = "error"
    code: str = "not-run"
    message: str = ""
    hint: str = ""
    mac: str | None = None
    chip: str | None = None
    board: str | None = None
    product: str | None = None
    device: str | None = None
    generation: int | None = None
    previous: int | None = None
    transport: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    wire: dict[str, Any] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    selftest: dict[str, Any] = field(default_factory=dict)
    certificate: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    firmware_version: str | None = None
    active: str | None = None
    exit_code: int = field(default=3, repr=False)
    listener: Listener = field(default=silent, repr=False, compare=False)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step; it is in the report however it ends."""
        self.listener(Event("step", {"name": name}))
        started = time.monotonic()
        try:
            yield
        finally:
            self.steps.append({"name": name, "seconds": round(time.monotonic() - started, 4)})

    def note(self, text: str) -> None:
        """Something a reader of the report should know."""
        self.notes.append(text)
        self.listener(Event("note", {"text": text}))

    def passed(self, message: str, code: str = "pass") -> Report:
        self.outcome, self.code, self.message, self.hint, self.exit_code = "pass", code, message, "", 0
        self.active = None
        return self

    def failed(self, error: TwinrootError) -> Report:
        self.outcome, self.code, self.message, self.hint = error.outcome, error.code, error.message, error.hint
        self.exit_code = error.exit_code
        if self.outcome == "fail" or self.active != UNTOUCHED:
            self.message = f"{self.message} {sentence(self.active)}".strip()
        return self

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON takes it."""
        listener, self.listener = self.listener, silent
        try:
            made = asdict(self)
        finally:
            self.listener = listener
        del made["exit_code"], made["listener"]
        return made
