"""Opens the ledger while something else waits for a board: the database layer takes half a second of a small computer to load."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from provisioning.link.events import Listener, silent

if TYPE_CHECKING:
    from provisioning.ledger.store import Ledger


class Opening:
    """Call it for the open ledger; what went wrong is raised there. Close it when done."""

    def __init__(self, location: str | None, events: Listener = silent) -> None:
        self._location = location
        self._events = events
        self._ledger: Ledger | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._open, daemon=True)
        self._thread.start()

    def _open(self) -> None:
        try:
            from provisioning.ledger.patience import Patience
            from provisioning.ledger.store import Ledger

            patience = Patience.of(self._events)
            ledger = Ledger.open(self._location)  # one that is away before anything has begun is said at once
            ledger.wait_with(patience)
            self._ledger = ledger
        except Exception as error:  # noqa: BLE001  raised again in the thread that asks
            self._error = error

    def __call__(self) -> Ledger:
        self._thread.join()
        if self._ledger is None:
            raise self._error or RuntimeError("the ledger was not opened")
        return self._ledger

    def __enter__(self) -> Opening:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        if self._ledger is not None:
            self._ledger.close()
