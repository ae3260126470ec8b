"""How long a command waits for a ledger that is away, and how it says so.

A board that has its claim keeps it, and nothing is written anywhere else meanwhile: another ledger would not know which numbers are taken.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from provisioning.errors import InputError
from provisioning.link.events import Event, Listener

WAIT_SECONDS = 600.0
_AGAIN_SECONDS = 30.0  # between two words about the same absence


@dataclass(frozen=True)
class Patience:
    """`seconds`: how long one thing is waited for; 0 never waits. `tell` gets the sentences."""

    seconds: float = 0.0
    tell: Callable[[str], None] = lambda _text: None

    @classmethod
    def of(cls, events: Listener) -> Patience:
        """As long as TWINROOT_LEDGER_WAIT says, told as events of a job. Raises InputError."""
        return cls(wait_seconds(), lambda text: events(Event("ledger", {"text": text})))


def wait_seconds() -> float:
    """TWINROOT_LEDGER_WAIT in seconds, else ten minutes. Raises InputError."""
    named = os.environ.get("TWINROOT_LEDGER_WAIT", "")
    try:
        seconds = float(named) if named else WAIT_SECONDS
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= 86400.0:
        raise InputError(
            "bad-arguments", f"TWINROOT_LEDGER_WAIT={named[:20]!r} is not a number of seconds up to a day.", "Correct it, or unset it."
        )
    return seconds


class Absence:
    """One time that the ledger is away: from the first failure to the first answer. `now` is monotonic time in seconds."""

    def __init__(self, patience: Patience, shown: str) -> None:
        self._patience = patience
        self._shown = shown
        self._began: float | None = None
        self._told = 0.0
        self.tries = 0

    def goes_on(self, now: float, why: str) -> bool:
        """Note a failure; False when it has lasted too long. The first is not told: a connection that had died is made again at once."""
        self.tries += 1
        if self._began is None:
            self._began = now
            return self._patience.seconds > 0
        left = self._began + self._patience.seconds - now
        if left <= 0:
            return False
        if not self._told or now - self._told >= _AGAIN_SECONDS:
            self._told = now
            self._patience.tell(f"The ledger {self._shown} is away, waiting up to {left:.0f} s more: {why}.")
        return True

    def over(self, now: float) -> None:
        """The ledger answers again."""
        if self._began is not None and self._told:
            self._patience.tell(f"The ledger {self._shown} is back after {now - self._began:.0f} s; going on.")
        self._began, self._told, self.tries = None, 0.0, 0

    def lasted(self, now: float) -> float:
        """Seconds since the first failure."""
        return now - self._began if self._began is not None else 0.0
