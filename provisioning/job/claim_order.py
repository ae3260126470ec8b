"""Who claims a device next: boards that begin together get theirs in the order of their ports, whichever answers first.

Labels lie in that order, and a label on the wrong board is found by nobody. A board is asked who it is in half a second, so that it costs
next to nothing to wait for the ports before. A port that stays silent is not waited for: those behind it leave it a device.
"""

from __future__ import annotations

from dataclasses import dataclass

PATIENCE = 2.0  # seconds that a board waits for those before it which have not asked yet


@dataclass
class _Place:
    number: int
    asked: float | None = None  # when it asked for its turn
    granted: bool = False


class ClaimOrder:
    """Names are ports or slots; `now` is time.monotonic(). A name takes part from `begin` to `decided`."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}

    def begin(self, name: str, number: int) -> None:
        """`name`, the port at place `number`, has no device yet."""
        self._places[name] = _Place(number)

    def ask(self, name: str, now: float) -> None:
        """The board on `name` wants a device."""
        if name in self._places:
            self._places[name].asked = now

    def decided(self, name: str) -> None:
        """`name` has its device, or will get none."""
        self._places.pop(name, None)

    def due(self, now: float) -> dict[str, int]:
        """Whose turn it is, each once -> for how many ports before it a free device has to be left. One after the other: the next is due
        when this one is decided."""
        name, silent = self._next()
        if name is None:
            return {}
        place = self._places[name]
        if silent and place.asked is not None and now - place.asked < PATIENCE:
            return {}
        place.granted = True
        return {name: silent}

    def seconds(self, now: float) -> float | None:
        """Until the patience of the next one ends; None when nobody waits for his."""
        name, _ = self._next()
        asked = self._places[name].asked if name is not None else None
        return None if asked is None else max(0.0, asked + PATIENCE - now)

    def _next(self) -> tuple[str | None, int]:
        """The first in line of those who ask, and how many before it have not asked; nobody while another has its turn."""
        silent = 0
        if any(place.granted for place in self._places.values()):
            return None, 0
        for name, place in sorted(self._places.items(), key=lambda item: item[1].number):
            if place.asked is not None:
                return name, silent
            silent += 1
        return None, silent
