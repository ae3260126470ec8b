"""The account itself: its tables, its clock, the messages that it sends to devices. One event loop uses it; nothing in here waits."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning.standin.account.store import Record, Store, Table

ACCOUNT_ID = "123456789012"  # the one in AWS's own examples
Send = Callable[[str, bytes], None]
Sign = Callable[[str], str]


def _each(field: str) -> Callable[[Record], str]:
    return lambda record: str(record[field])


# Kinds of records, and what they are looked up by.
KINDS: dict[str, dict[str, Callable[[Record], str]]] = {
    "things": {},
    "groups": {},
    "members": {"group": _each("group"), "thing": _each("thing")},
    "certificates": {},
    "principals": {"thing": _each("thing"), "certificate": _each("certificate")},
    "policies": {},
    "attached": {"target": _each("target")},
    "jobs": {},
    "executions": {"job": _each("job"), "thing": _each("thing"), "status": _each("status")},
    "streams": {},
    "objects": {},
    "shadows": {"thing": _each("thing")},
    "connectivity": {},
    "packages": {},
    "versions": {"package": _each("package")},
    "settings": {},
}


def _nobody_signs(_request: str) -> str:
    raise ValueError("this account has no CA")


@dataclass(frozen=True)
class Place:
    """Where the account is: region, partition, and the names of its two data endpoints."""

    region: str
    endpoint_ats: str
    endpoint_legacy: str
    prefix: str
    domain: str

    @property
    def partition(self) -> str:
        for beginning, partition in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")):
            if self.region.startswith(beginning):
                return partition
        return "aws"

    def arn(self, resource: str) -> str:
        return f"arn:{self.partition}:iot:{self.region}:{ACCOUNT_ID}:{resource}"


class AccountState:
    """`send` gets what devices are to receive, after the change that caused it is stored; `sign` makes a PEM certificate of a request."""

    def __init__(self, folder: Path, place: Place, clock: Callable[[], float], send: Send, sign: Sign = _nobody_signs) -> None:
        self.folder = folder
        self.place = place
        self._clock = clock
        self._send = send
        self.sign = sign
        self._store = Store(folder / "account.sqlite", KINDS)
        self._outbox: list[tuple[str, bytes]] = []
        self._moment: float | None = None
        self._deep = 0

    def table(self, kind: str) -> Table:
        return self._store.tables[kind]

    def now(self) -> float:
        """Seconds since 1970 by the account's clock, which tests may move."""
        return self._clock() if self._moment is None else self._moment

    @contextlib.contextmanager
    def at(self, moment: float) -> Iterator[None]:
        """What is due at `moment` happens at that time, even when the clock has gone past it."""
        self._moment = moment
        try:
            yield
        finally:
            self._moment = None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """A change, whole or not there; messages leave when it is stored. One inside another is part of it."""
        if self._deep:
            yield
            return
        self._deep += 1
        try:
            with self._store.transaction():
                yield
        except BaseException:
            self._outbox.clear()
            raise
        finally:
            self._deep -= 1
        sent, self._outbox = self._outbox, []
        for topic, payload in sent:
            self._send(topic, payload)

    def post(self, topic: str, message: dict[str, Any]) -> None:
        """A JSON message for devices, sent when the change is stored."""
        self._outbox.append((topic, json.dumps(message, separators=(",", ":")).encode()))

    def post_first(self, topic: str, message: dict[str, Any]) -> None:
        """The same, before what else this change sends: the answer comes before the news that it causes."""
        self.post(topic, message)
        self._outbox.insert(0, self._outbox.pop())

    def arn(self, resource: str) -> str:
        return self.place.arn(resource)

    def close(self) -> None:
        self._store.close()
