"""Faults on the wires: bytes lost, doubled, flipped; events at an exact byte. Reproducible from a seed.

A fault is written NAME[=VALUE][@BYTE][:in|:out], for example `flip=0.001`, `drop@1500:in`, `reset@4000`, `cut-op=37`, `worn=513`.
VALUE of drop, duplicate, flip is a probability per byte; @BYTE is one byte, counted from when the fault was set. `in` is towards the
board. The table FAULTS lists all.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from provisioning.errors import InputError
from provisioning.virtual import rtc

_SYNTAX = re.compile(r"^(?P<name>[a-z-]+)(=(?P<value>[^@:]+))?(@(?P<at>\d+))?(:(?P<way>in|out))?$")


HEAP = re.compile(r"^\d+w?[kKmM]?$")  # a size for -X heapsize=: w counts words


@dataclass(frozen=True)
class FaultKind:
    """`value`: none, probability, number, optional (a number that may be left out) or word; `at`: whether a byte may be given."""

    what: str
    value: str = "none"
    at: bool = False
    words: re.Pattern[str] | None = None
    example: str = ""  # of a word


FAULTS = {
    "drop": FaultKind("a byte is lost on the wire", "probability", at=True),
    "duplicate": FaultKind("a byte comes twice", "probability", at=True),
    "flip": FaultKind("one bit of a byte is flipped", "probability", at=True),
    "no-raw-paste": FaultKind("the prompt does not know raw paste mode, as before MicroPython 1.14"),
    "held": FaultKind("64 bytes, or a multiple of them, reach the host only when more follow: a USB device that ends no transfer"),
    "boot": FaultKind(
        "MicroPython starts so many milliseconds after the boot loader, as on a chip; what arrives meanwhile is lost", "number"
    ),
    "stuck": FaultKind("the board stops: it neither reads nor sends until it is reset", at=True),
    "reset": FaultKind("the chip is reset", at=True),
    "cut": FaultKind("the power goes", at=True),
    "cut-op": FaultKind("the power goes in the flash operation after this many more", "number"),
    "worn": FaultKind("this 4096-byte sector can no longer be erased", "number"),
    "wifi": FaultKind(
        "what the board's station meets",
        "word",
        words=re.compile("up|down|no-ap|wrong-password"),
        example="up, down, no-ap, wrong-password",
    ),
    "full": FaultKind("the file system has this many bytes left (none without a value); a running board is reset", "optional"),
    "heap": FaultKind("MicroPython's heap from the next boot on", "word", words=HEAP, example="60K"),
    "clock": FaultKind("what the RTC says at the next power on", "word", words=rtc.WORD, example=rtc.EXAMPLE),
}

# At the port: an engine needs nothing of its own for them.
ON_THE_WIRE = ("drop", "duplicate", "flip", "no-raw-paste", "stuck", "reset", "cut")
BEFORE_POWER = ("full", "heap", "clock")  # as --fault they are there from the first boot on


@dataclass(frozen=True)
class Fault:
    name: str
    value: float = 0.0
    word: str = ""
    at: int | None = None
    way: str = ""  # "in", "out", "" both


def parse(text: str) -> Fault:
    """One fault as it is written. Raises InputError."""
    match = _SYNTAX.match(text)
    kind = FAULTS.get(match["name"]) if match else None
    if match is None or kind is None:
        raise InputError("fault", f"{text!r} is not a fault", f"Known are {', '.join(FAULTS)}; see docs/virtual-board.md.")
    value, at = match["value"], match["at"]
    if at is not None and not kind.at:
        raise InputError("fault", f"{text!r}: {match['name']} does not happen at a byte", "Leave @ out.")
    if kind.words is not None:
        if value is None or not kind.words.fullmatch(value):
            raise InputError("fault", f"{text!r}: {value or 'no value'} is not one that {match['name']} takes", f"Give {kind.example}.")
        return Fault(match["name"], word=value)
    wants = kind.value != "none" and at is None
    if wants != (value is not None) and not (kind.value == "optional" and value is None):
        raise InputError("fault", f"{text!r}: {match['name']} {'needs a value' if wants else 'takes no value here'}", "See the table.")
    try:
        number = float(value) if value is not None else 0.0
    except ValueError:
        raise InputError("fault", f"{text!r}: {value} is not a number", "Give a number.") from None
    if kind.value == "probability" and not 0 <= number <= 1:
        raise InputError("fault", f"{text!r}: {value} is not a probability between 0 and 1", "For example 0.001.")
    if kind.value in ("number", "optional") and not (number >= 0 and number.is_integer()):
        raise InputError("fault", f"{text!r}: {value} is not a whole number", "Give 0 or more.")
    return Fault(match["name"], number, at=int(at) if at is not None else None, way=match["way"] or "")


class WireFaults:
    """Sits between a wire and its receiver. `event` is called with "stuck", "reset" or "cut" when its byte has come."""

    def __init__(self, seed: int, event: Callable[[str], None]) -> None:
        self._random = random.Random(seed)
        self._event = event
        self._rates: dict[str, float] = {}
        self._exact: dict[int, str] = {}
        self._count = 0
        self._paste_fails = False
        self._last = b""  # two bytes

    @property
    def active(self) -> bool:
        return bool(self._rates or self._exact or self._paste_fails)

    def add(self, fault: Fault) -> None:
        if fault.at is not None:
            self._exact[self._count + fault.at] = fault.name
        elif fault.name in ("drop", "duplicate", "flip"):
            self._rates[fault.name] = fault.value
        elif fault.name == "no-raw-paste":
            self._paste_fails = True

    def clear(self) -> None:
        self._rates.clear()
        self._exact.clear()
        self._paste_fails = False

    def apply(self, data: bytes) -> bytes:
        """What arrives of these bytes. After an event nothing more of them does."""
        if not self.active:
            self._count += len(data)
            return data
        out = bytearray()
        for byte in data:
            name = self._exact.pop(self._count, "") or self._draw()
            self._count += 1
            if self._paste_fails:
                if self._last == b"\x05A" and byte == 1:
                    out.append(0)  # the request is longer than raw paste's, so control-A begins a command anew: all it does before 1.14
                self._last = self._last[-1:] + bytes([byte])
            if name in ("stuck", "reset", "cut"):
                self._event(name)
                break
            if name == "flip":
                out.append(byte ^ 1 << self._random.randrange(8))
            elif name == "duplicate":
                out += bytes([byte, byte])
            elif name != "drop":
                out.append(byte)
        return bytes(out)

    def _draw(self) -> str:
        for name, rate in self._rates.items():
            if self._random.random() < rate:
                return name
        return ""
