"""The round trip of the line, measured: RFC 6298, sections 2 and 3."""

from __future__ import annotations

FIRST = 0.3  # seconds before any is measured; the RFC's 1 s is for networks
LEAST, MOST = 0.01, 1.0  # seconds; a board that is busy for longer asks by itself
_ALPHA, _BETA, _K = 1 / 8, 1 / 4, 4


class Trip:
    """`measure` with each acknowledgement of what was sent once (Karn's rule: after a resend nobody knows which one is meant)."""

    def __init__(self) -> None:
        self.smoothed = 0.0
        self.variation = 0.0

    def measure(self, seconds: float) -> None:
        if not self.smoothed:
            self.smoothed, self.variation = seconds, seconds / 2
            return
        self.variation += _BETA * (abs(self.smoothed - seconds) - self.variation)
        self.smoothed += _ALPHA * (seconds - self.smoothed)

    @property
    def timeout(self) -> float:
        """Seconds within which an answer to what was just sent comes; one that comes sooner may be about something older."""
        if not self.smoothed:
            return FIRST
        return min(max(LEAST, self.smoothed + _K * self.variation), MOST)
