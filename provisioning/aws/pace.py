"""How fast each operation may be asked: AWS throttles per operation, account and region, not in sum.

Quotas: "AWS IoT Core endpoints and quotas" and "AWS IoT Device Management endpoints and quotas" of AWS's general reference, API throttling
limits, what a new account has. Where AWS's pages of different years and regions differ, the smaller number: large regions allow 100
CreateThing and AttachThingPrincipal by now, 15 are allowed everywhere. docs/aws.md shows the table.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# Operation as boto3 spells it -> requests a second. What is not named: OTHERS.
QUOTAS: dict[str, float] = {
    "create_thing": 15,
    "create_certificate_from_csr": 15,
    "attach_policy": 15,
    "attach_thing_principal": 15,
    "describe_thing": 350,
    "list_things_in_thing_group": 25,
    "create_thing_group": 25,
    "describe_thing_group": 100,
    "add_thing_to_thing_group": 60,
    "search_index": 15,
    "get_indexing_configuration": 20,
    "update_indexing_configuration": 1,
}
OTHERS = 10.0  # what most operations have, those of certificates, policies and jobs among them
SHARE = 0.8  # of a quota: the rest is for whoever else works in the account
_SLOWEST = 16.0  # how many times slower an operation gets while AWS throttles it
_RECOVERY = 0.95  # what a request that was answered makes of that
_ONE_BURST = 1.0  # seconds: what is throttled within them was under way together, and slows the operation down once


def allowed(operation: str) -> float:
    """Requests a second that are sent of an operation where nothing else is said."""
    return QUOTAS.get(operation, OTHERS) * SHARE


class Pace:
    """Turns for requests, by operation, for as many threads as ask. `rate`: requests of each operation a second; None: AWS's quotas;
    0: no limit. An operation that AWS throttles gets slower, and faster again as it is answered."""

    def __init__(self, rate: float | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        self._rate = rate
        self._sleep = sleep
        self._next: dict[str, float] = {}
        self._slower: dict[str, float] = {}
        self._since: dict[str, float] = {}  # when it was slowed down last
        self._lock = threading.Lock()

    def wait(self, operation: str) -> None:
        """Returns when it is this request's turn."""
        with self._lock:
            interval = self._interval(operation)
            now = time.monotonic()
            at = max(now, self._next.get(operation, 0.0))
            self._next[operation] = at + interval
        if at > now:
            self._sleep(at - now)

    def throttled(self, operation: str) -> None:
        with self._lock:
            now = time.monotonic()
            if now - self._since.get(operation, -_ONE_BURST) >= _ONE_BURST:
                self._since[operation] = now
                self._slower[operation] = min(_SLOWEST, self._slower.get(operation, 1.0) * 2)

    def answered(self, operation: str) -> None:
        with self._lock:
            if operation in self._slower:
                self._slower[operation] = max(1.0, self._slower[operation] * _RECOVERY)

    def _interval(self, operation: str) -> float:
        rate = allowed(operation) if self._rate is None else self._rate
        return self._slower.get(operation, 1.0) / rate if rate > 0 else 0.0
