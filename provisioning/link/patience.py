"""How long a board that says nothing is waited for: bounds that follow from what this board has needed so far.

Flash decides it. One look into a folder takes 0.2 ms on one board and 0.4 s on another, so every bound is a multiple of the longest
pause after which the board spoke by itself, between a least and a most. Nothing is waited for beyond the most.
"""

from __future__ import annotations

from typing import NamedTuple

TELL_EVERY = 5.0  # seconds of silence after which a person is told, each time


class Bound(NamedTuple):
    """Seconds: never less than `least`, never more than `most`, in between `times` the longest pause. `unknown`: before any is known."""

    least: float
    unknown: float
    times: float
    most: float


WORD = Bound(6.0, 30.0, 100.0, 60.0)  # between two words of a receiver: the longest call of the file system in between
LOOK = Bound(6.0, 20.0, 60.0, 60.0)  # one look into a folder, before which nothing is known of the board
PROGRAM = Bound(15.0, 60.0, 400.0, 240.0)  # a program at the raw prompt that prints at its end: an import, and hashes of a whole set
FORWARD = Bound(30.0, 120.0, 2000.0, 600.0)  # a receiver that gives signs of life: until something is acknowledged or answered
TOTAL = 600.0  # a program at the raw prompt, whatever it prints


class Pace:
    """What one board has needed. Kept with the line, so that each attempt of a run knows what the ones before it learned."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.known = False  # whether a look at the flash was among it

    def learn(self, pause: float, look: bool = False) -> None:
        """The board was at work, said nothing for `pause` seconds, and then spoke. `look`: it looked at its flash meanwhile."""
        self.longest = max(self.longest, pause)
        self.known = self.known or look

    def bound(self, kind: Bound) -> float:
        if not self.known:
            return kind.unknown
        return min(max(kind.least, kind.times * self.longest), kind.most)
