"""How many boards an hour a line makes, and what limits it: from what boards took (rows of the ledger, or a rehearsal) and from what the
wire, the flash, a hub's power and people allow.

The model: each slot goes round, a board's time on the slot and then the time until the next board is in it; a person changes one board at
a time. So an hour has min(slots / (time + change), people / change) * 3600 boards. What limits is what would gain most if it were no
limit. Times in seconds, currents in mA, rates in bits per second, sizes in bytes.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from provisioning.ledger.entry import OUTCOME, Entry

ENOUGH = 3  # passes in the ledger that say what a board takes
CHANGE_SECONDS = 8.0  # from a result to the next board in the slot, where no rows say it
BOARD_MA = 150  # while it is flashed, the radio off: 70 of the chip at 240 MHz, the rest for bridge, regulator and LEDs
_LONGEST_CHANGE = 300.0  # a longer one is a break
_ENOUGH_CHANGES = 5
_BIT_OF_BYTE = 10  # 8N1
_TRANSLATOR = 0.6 * 12e6  # bits per second that a hub with one transaction translator carries for all its full-speed devices
_BLOCK, _PAGE = 65536, 256
_ERASE_BLOCK, _PROGRAM_PAGE = 0.150, 0.0007  # typical values of SPI NOR flash, those of `virtual --flash-timing typical`


@dataclass(frozen=True)
class Wiring:
    """`slots` spread over `hubs`; `hub_ma`: what one hub gives to its boards, None where that is no limit."""

    slots: int
    baud: int
    people: int = 1
    hubs: int = 1
    hub_ma: int | None = None
    board_ma: int = BOARD_MA
    change: float | None = None  # seconds between two boards in a slot; None: measured, else CHANGE_SECONDS

    @property
    def at_once(self) -> int:
        """Slots that may work at the same time."""
        return self.slots if self.hub_ma is None else min(self.slots, self.hubs * (self.hub_ma // self.board_ma))


@dataclass(frozen=True)
class Costs:
    """Of one board, by size alone: what the line needs for the bytes and what the flash does with them."""

    wire: float
    flash: float
    rate: float = 0.0  # bits per second that a board gets of the wiring

    @classmethod
    def of(cls, content: bytes, wiring: Wiring) -> Costs:
        """`content`: all that is written. esptool sends it deflated; a hub shares its rate among the slots."""
        shared = _TRANSLATOR * wiring.hubs / max(wiring.at_once, 1)
        rate = min(wiring.baud, shared)
        pages, blocks = math.ceil(len(content) / _PAGE), math.ceil(len(content) / _BLOCK)
        return cls(len(zlib.compress(content, 9)) * _BIT_OF_BYTE / rate, blocks * _ERASE_BLOCK + pages * _PROGRAM_PAGE, rate)


@dataclass(frozen=True)
class Measured:
    """What boards took. `steps`: name -> median seconds of those that passed; `attempts`: runs for one PASS, in seconds of a PASS."""

    source: str
    boards: int
    steps: Mapping[str, float]
    attempts: float = 1.0
    change: float | None = None

    @property
    def seconds(self) -> float:
        """On the slot, for one attempt."""
        return sum(self.steps.values())


@dataclass(frozen=True)
class Throughput:
    """`without`: boards an hour if that one thing were no limit; `limit`: the one of them that would gain most."""

    boards_per_hour: float
    limit: str
    without: Mapping[str, float]
    at_once: int
    change: float
    measured: Measured
    costs: Costs
    assumed: Sequence[str] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        measured = self.measured
        return {
            "boards_per_hour": round(self.boards_per_hour, 1),
            "limit": self.limit,
            "without": {name: round(rate, 1) for name, rate in self.without.items()},
            "at_once": self.at_once,
            "rate": round(self.costs.rate),
            "seconds": {
                "board": round(measured.seconds, 2),
                "change": round(self.change, 2),
                "wire": round(self.costs.wire, 2),
                "flash": round(self.costs.flash, 2),
                "steps": {name: round(seconds, 2) for name, seconds in measured.steps.items()},
            },
            "attempts": round(measured.attempts, 3),
            "source": measured.source,
            "boards": measured.boards,
            "assumed": list(self.assumed),
        }


def from_rows(rows: Iterable[Entry], product: str, board: str) -> Measured | None:
    """What boards of this product took by the ledger's outcomes; None where fewer than ENOUGH passed."""
    ends = [row for row in rows if row.kind == OUTCOME and _is_of(row, product, board)]
    passes = [row for row in ends if row.fields.get("outcome") == "pass" and any(step["name"] == "write" for step in row.fields["steps"])]
    if len(passes) < ENOUGH:
        return None
    each = median(_seconds(row) for row in passes)
    failed = sum(_seconds(row) for row in ends if row.fields.get("outcome") != "pass")
    return Measured("ledger", len(passes), _steps([row.fields["steps"] for row in passes]), 1 + failed / len(passes) / each, _change(ends))


def from_report(steps: Sequence[Mapping[str, Any]]) -> Measured:
    """What one board took in a rehearsal."""
    return Measured("rehearsal", 1, _steps([steps]))


def _is_of(row: Entry, product: str, board: str) -> bool:
    fields = row.fields
    return fields.get("job") == "flash" and fields.get("product") == product and fields.get("board") == board and bool(fields.get("steps"))


def _seconds(row: Entry) -> float:
    return float(sum(step["seconds"] for step in row.fields["steps"]))


def _steps(runs: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, float]:
    """The median of each step; one that most runs do not have counts for nothing."""
    found: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        total: Counter[str] = Counter()
        for step in run:
            total[step["name"]] += step["seconds"]
        for name, seconds in total.items():
            found[name].append(float(seconds))
    return {name: median(each) for name, each in found.items() if len(each) * 2 >= len(runs)}


def _change(ends: Sequence[Entry]) -> float | None:
    """The median time from one board's end to the next one's begin on a port; with boards that are changed all at once, that has the
    wait for the slowest in it."""
    gaps: list[float] = []
    last: dict[tuple[Any, Any], tuple[float, Any]] = {}
    for row in ends:
        slot, at = (row.fields.get("station"), row.fields.get("port")), datetime.fromisoformat(row.at.replace("Z", "+00:00")).timestamp()
        before = last.get(slot)
        if before is not None and before[1] != row.fields.get("mac"):
            gap = at - _seconds(row) - before[0]
            if 0 <= gap <= _LONGEST_CHANGE:
                gaps.append(gap)
        last[slot] = (at, row.fields.get("mac"))
    return median(gaps) if len(gaps) >= _ENOUGH_CHANGES else None


def reckon(measured: Measured, costs: Costs, wiring: Wiring) -> Throughput:
    """The figures for `wiring`."""
    change = wiring.change if wiring.change is not None else measured.change
    assumed = [
        f"flash erases 64 KB in {_ERASE_BLOCK * 1000:.0f} ms and programs 256 bytes in {_PROGRAM_PAGE * 1000:.1f} ms, while more comes in",
        f"a hub carries {_TRANSLATOR / 1e6:.1f} Mbit/s for all its boards; the slots are spread over {wiring.hubs} (--hubs)",
    ]
    if change is None:
        change = CHANGE_SECONDS
        assumed.append(f"a person needs {change:.0f} s to change a board (--change)")
    if wiring.hub_ma is None:
        assumed.append("hubs have power for all their boards (--hub-ma)")
    elif wiring.board_ma == BOARD_MA:
        assumed.append(f"a board takes {BOARD_MA} mA while it is flashed (--board-ma)")
    if measured.source == "rehearsal":
        assumed.append("no attempt fails; steps are those of a virtual board with a line and a flash that take their time")
    else:
        assumed.append("boards take as long as they did, whatever the number of slots and the rate were then")
    seconds = measured.seconds
    # Line and flash work at the same time: without one of them the write takes what the other one needs.
    gain = {"wire": max(costs.wire - costs.flash, 0.0), "flash": max(costs.flash - costs.wire, 0.0)}
    write = measured.steps.get("write", 0.0)

    def rate(less: float = 0.0, slots: int = wiring.at_once, pause: float = change) -> float:
        cycle = (seconds - min(less, write)) * measured.attempts + pause
        machines = slots / cycle if cycle else math.inf
        hands = wiring.people / pause if pause else math.inf
        return min(machines, hands) * 3600

    without = {
        "wire": rate(gain["wire"]),
        "flash": rate(gain["flash"]),
        "hub power": rate(slots=wiring.slots),
        "people": rate(pause=0.0),
        "slots": rate(slots=wiring.at_once + 1) if wiring.at_once == wiring.slots else rate(),
    }
    now = rate()
    # One slot more always gains a little: it is the limit only where nothing else is.
    best = max((name for name in without if name != "slots"), key=lambda name: without[name])
    limit = best if without[best] > now * 1.005 else ("slots" if without["slots"] > now * 1.005 else "people")
    return Throughput(now, limit, without, wiring.at_once, change, measured, costs, tuple(assumed))
