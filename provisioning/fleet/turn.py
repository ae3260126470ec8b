"""A turn on a plan: had for a minute at a time, and renewed beside the work for as long as the program lives.

A program that was killed, or whose computer sleeps, loses its turn after that minute. One that wakes up later finds out by its own clock
before it does anything else: at every change of a row, and before every request of a carrier.
"""

from __future__ import annotations

import os
import platform
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from provisioning.errors import TwinrootError
from provisioning.fleet import plan_rows
from provisioning.fleet.plan_rows import PlanRows
from provisioning.ledger.store import Ledger

SECONDS = 60  # of one turn; renewed three times in that


def this_program() -> str:
    """Who has a turn, for people and for the comparison."""
    return f"{platform.node() or 'a computer'} (process {os.getpid()}, {uuid.uuid4().hex[:6]})"


class HeldTurn(plan_rows.Turn):
    """A context manager; raises PlanBusy on entry when another program has the turn. `again`: opens the ledger once more, for the thread
    that renews; None: nobody renews, for tests."""

    def __init__(
        self, rows: PlanRows, plan: str, again: Callable[[], Ledger] | None, holder: str | None = None, seconds: int = SECONDS
    ) -> None:
        self.plan = plan
        self.holder = holder or this_program()
        self._rows = rows
        self._again = again
        self._seconds = seconds
        self._ended = threading.Event()
        self._until = (0.0, 0.0)
        self._thread: threading.Thread | None = None

    def __enter__(self) -> HeldTurn:
        self._renew(self._rows)
        if self._again is not None:
            self._thread = threading.Thread(target=self._keep, args=(self._again,), daemon=True)
            self._thread.start()
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if kind is None or issubclass(kind, (TwinrootError, KeyboardInterrupt)):
            try:
                self._rows.give_turn(self.plan, self.holder)
            except TwinrootError:
                if kind is None:
                    raise

    def check(self) -> None:
        # Both clocks: one stands still while a computer sleeps, the other may be set.
        if time.monotonic() >= self._until[0] or time.time() >= self._until[1]:
            raise plan_rows.lost(self.plan, None)

    def _renew(self, rows: PlanRows) -> None:
        began = time.monotonic(), time.time()
        rows.take_turn(self.plan, self.holder, self._seconds)
        lasts = self._seconds - 1  # the database counts whole seconds
        self._until = began[0] + lasts, began[1] + lasts

    def _keep(self, again: Callable[[], Ledger]) -> None:
        try:
            with again() as ledger:
                rows = PlanRows(ledger)
                while not self._ended.wait(self._seconds / 3):
                    self._renew(rows)
        except TwinrootError:
            return  # `check` says so, when the turn has run out
