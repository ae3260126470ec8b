"""Follows the ledger in a thread of its own and has the newest snapshot ready for everybody who looks, however many they are."""

from __future__ import annotations

import datetime
import json
import threading
import time
from collections.abc import Callable

from provisioning.dashboard.state import State
from provisioning.errors import TwinrootError
from provisioning.ledger import tail
from provisioning.ledger.store import Ledger
from provisioning.ledger.tasks import open_tasks

LOOK_SECONDS = 0.5  # between two looks; one reads a number from an index
TICK_SECONDS = 30.0  # a snapshot without a new row: the hours go on
_PART = 2000


class Feed:
    """`wait` gives snapshots. `open_ledger` is called in the thread, and again after the ledger was away."""

    def __init__(self, open_ledger: Callable[[], Ledger], hours: int) -> None:
        self._open = open_ledger
        self._hours = hours
        self._state = State(hours)
        self._last_hash: str | None = None
        self._away = ""
        self._away_since = ""
        self._payload = b""
        self._version = 0
        self._stopped = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._follow, name="ledger feed", daemon=True)

    def start(self) -> None:
        """Begin; the first snapshot is there when the first `wait` returns."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and everybody's wait."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(10.0)

    @property
    def stopped(self) -> bool:
        """Whether it has ended."""
        return self._stopped

    def wait(self, seen: int, seconds: float) -> tuple[int, bytes]:
        """The newest snapshot as JSON and its number, as soon as that is not `seen`, or after `seconds` whatever it is."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._version != seen, seconds)
            return self._version, self._payload

    def _follow(self) -> None:
        ledger: Ledger | None = None
        published = 0.0
        while not self._stopped:
            try:
                ledger = ledger or self._open()
                news = self._look(ledger)
            except TwinrootError as error:
                news = not self._away
                self._away = error.message
                self._away_since = self._away_since or _now().isoformat(timespec="seconds")
                if ledger is not None:
                    ledger.close()
                ledger = None
            if news or time.monotonic() - published > TICK_SECONDS:
                published = time.monotonic()
                self._publish()
            with self._changed:
                self._changed.wait_for(lambda: self._stopped, LOOK_SECONDS)
        if ledger is not None:
            ledger.close()

    def _look(self, ledger: Ledger) -> bool:
        """Take what is new; whether there was anything to show."""
        news = bool(self._away) or not self._version
        self._away = self._away_since = ""
        if self._state.seq and ledger.read(lambda connection: tail.hash_of(connection, self._state.seq)) != self._last_hash:
            self._state, self._last_hash, news = State(self._hours), None, True  # another ledger in its place
        if not self._state.seq:
            since = (_now() - datetime.timedelta(hours=self._hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
            self._state.seq = ledger.read(lambda connection: tail.first_since(connection, since))
            self._last_hash = ledger.read(lambda connection: tail.hash_of(connection, self._state.seq))
            self._state.tasks = ledger.read(open_tasks)
        while not self._stopped:
            part = ledger.read(lambda connection: tail.after(connection, self._state.seq, _PART))
            for seq, found, entry in part:
                self._state.take(seq, entry)
                self._last_hash = found
            news = news or bool(part)
            if len(part) < _PART:
                break
        return news

    def _publish(self) -> None:
        shown = {**self._state.snapshot(_now()), "away": self._away, "away_since": self._away_since}
        payload = json.dumps(shown, separators=(",", ":")).encode()
        with self._changed:
            self._payload = payload
            self._version += 1
            self._changed.notify_all()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)
