"""Rates at which the control plane takes requests, by operation; what comes faster is answered with ThrottlingException."""

from __future__ import annotations

from collections.abc import Callable, Mapping


class Throttle:
    """A bucket for each operation that has a rate (requests a second; 0 or less: no limit). It holds what a second brings, at least one."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rates: dict[str, float] = {}
        self._buckets: dict[str, tuple[float, float]] = {}  # what is left, and when that was so

    @property
    def rates(self) -> Mapping[str, float]:
        return self._rates

    def limit(self, operation: str, rate: float) -> None:
        """`operation` as in the API (CreateJob), or * for each that has no rate of its own."""
        self._buckets.pop(operation, None)
        if rate > 0:
            self._rates[operation] = rate
        else:
            self._rates.pop(operation, None)

    def takes(self, operation: str) -> bool:
        """Whether one more request is within the rate; it is counted when it is."""
        rate = self._rates.get(operation) or self._rates.get("*")
        if not rate:
            return True
        now, size = self._clock(), max(1.0, rate)
        left, since = self._buckets.get(operation, (size, now))
        left = min(size, left + (now - since) * rate)
        taken = left >= 1
        self._buckets[operation] = (left - taken, now)
        return taken
