"""A recorded session as a script: what the host has to have sent, and what the board says then.

A host that does the same again does not send the same bytes: how often it interrupts depends on time, and the words by which it
synchronises with a prompt are new each time. So interrupts, and pulses of the reset line, may be more or fewer, and such a word is
replaced by the new one in what the board answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from provisioning.link.recording import Step
from provisioning.link.tap import RX, TX

_INTERRUPT = -1  # control-C, and what is around it in a row of them
_RESET = -2  # EN is pulled
_OPTIONAL = (_INTERRUPT, _RESET)
_AROUND = frozenset(b"\r\x01\x03")
_WORD = re.compile(rb"print\('([0-9a-f]{8})'\)")  # link/repl.py, _synchronise
_QUOTED = 40  # bytes in a sentence


@dataclass
class Says:
    """What the board sends when the host has sent `after` tokens; `pause` in seconds after what happened before."""

    after: int
    pause: float
    data: bytes


class Tokens:
    """The host's bytes as tokens: a byte, or one for a row of interrupts."""

    def __init__(self) -> None:
        self._row = False

    def of(self, data: bytes) -> list[int]:
        found = []
        for byte in data:
            if byte == 3 or (self._row and byte in _AROUND):
                if not self._row:
                    found.append(_INTERRUPT)
                self._row = True
            else:
                self._row = False
                found.append(byte)
        return found

    def answered(self) -> None:
        """The board has spoken: a later interrupt is another one."""
        self._row = False


@dataclass
class Script:
    """`expected`: the host's tokens; `says`: in order; `words`: position of its first byte -> a word that is new each time."""

    expected: list[int] = field(default_factory=list)
    says: list[Says] = field(default_factory=list)
    words: dict[int, bytes] = field(default_factory=dict)


def script(steps: Iterable[Step]) -> Script:
    made = Script()
    tokens = Tokens()
    before = 0.0
    dtr = rts = True
    for step in steps:
        if step.what == RX:
            made.says.append(Says(len(made.expected), max(0.0, step.at - before), step.value))
            tokens.answered()
        elif step.what == TX:
            made.expected += tokens.of(step.value)
        elif step.what in ("dtr", "rts"):
            was = rts and not dtr
            dtr, rts = (step.value, rts) if step.what == "dtr" else (dtr, step.value)
            if rts and not dtr and not was:
                made.expected.append(_RESET)
        before = step.at
    plain = bytes(token if token >= 0 else 0 for token in made.expected)
    made.words = {match.start(1): match[1] for match in _WORD.finditer(plain)}
    return made


class Player:
    """Follows a host through a script. `diverged`: what it did that is not in the session, empty while it does the same."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._tokens = Tokens()
        self._at = 0
        self._next = 0
        self._word: tuple[bytes, int] | None = None  # a word of the session, and how many of its bytes are to come
        self._new: dict[bytes, bytearray] = {}
        self._nudged = False  # by an interrupt or a reset that is not in the session at this place
        self.diverged = ""

    @property
    def left(self) -> int:
        """How many things the board has still to say."""
        return len(self._script.says) - self._next

    def host(self, data: bytes) -> None:
        for token in self._tokens.of(data):
            self._step(token)

    def reset(self) -> None:
        self._step(_RESET)

    def _step(self, token: int) -> None:
        expected = self._script.expected
        if self.diverged:
            return
        if token in _OPTIONAL:
            if self._at < len(expected) and expected[self._at] == token:
                self._at += 1
            else:
                self._nudged = True
            return
        while self._at < len(expected) and expected[self._at] in _OPTIONAL:
            self._at += 1
        if self._at >= len(expected):
            self.diverged = "the host goes on after the end of the session"
            return
        if self._word is None and self._at in self._script.words:
            self._word = (self._script.words[self._at], len(self._script.words[self._at]))
            self._new[self._word[0]] = bytearray()
        if self._word is not None:
            word, left = self._word
            self._new[word].append(token)
            self._word = (word, left - 1) if left > 1 else None
        elif expected[self._at] != token:
            sent = bytes(each for each in expected[self._at : self._at + _QUOTED] if each >= 0)
            self.diverged = f"the host sends {bytes([token])!r} where it sent {sent!r}"
            return
        self._at += 1

    def due(self) -> Says | None:
        """What the board says next, if the host has sent what comes before it."""
        if self._next < len(self._script.says):
            says = self._script.says[self._next]
            behind = self._script.expected[self._at : says.after]
            if not self.diverged and (not behind or (self._nudged and all(token in _OPTIONAL for token in behind))):
                return says
        return None

    def take(self, says: Says) -> bytes:
        """Its bytes, with the words of this run."""
        self._next += 1
        self._nudged = False
        self._tokens.answered()
        data = says.data
        for word, new in self._new.items():
            data = data.replace(word, bytes(new))
        return data
