"""What the page shows, folded from rows as they come: boards by hour, failures by code, slots. Memory is bounded by the window of hours."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from provisioning.errors.table import ROWS
from provisioning.ledger.entry import CLAIM, INTENT, MOVED, OUTCOME, RELEASE, TASK, Entry
from provisioning.ledger.tasks import OpenTasks, described
from provisioning.untrusted_text import one_line

JOBS = (None, "flash", "update")  # jobs that make a board; rows of older toolkits name none
OUTCOMES = ("pass", "fail", "error")
SLOTS = 256  # at most, the newest
TASKS = 50  # labels and commands that are open, the newest
CODES = 12  # bars of the Pareto chart; the rest is one
STALE_SECONDS = 1800  # an attempt without an outcome for so long is not at work any more
_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_STEPS = {CLAIM: "claimed", INTENT: "writing"}


@dataclass
class _Slot:
    """The newest word about a port of a station."""

    attempt: str
    state: str  # claimed, writing, or an outcome
    since: str
    fields: dict[str, Any]
    began: str


@dataclass
class State:
    """`hours`: how far back the page looks. Give it rows in order (`take`), then ask for a `snapshot`."""

    hours: int = 24
    seq: int = 0
    unreadable: int = 0
    moved: str = ""
    tasks: OpenTasks = field(default_factory=OpenTasks)  # whatever their age
    _boards: dict[str, dict[str, str]] = field(default_factory=dict)  # hour -> board -> how it ended last in that hour
    _last: dict[str, tuple[str, str]] = field(default_factory=dict)  # board -> hour and outcome of its newest attempt
    _codes: dict[str, Counter[str]] = field(default_factory=dict)  # hour -> code of what did not pass -> attempts
    _slots: dict[tuple[str, str], _Slot] = field(default_factory=dict)
    _open: dict[str, str] = field(default_factory=dict)  # attempt -> when it began

    def take(self, seq: int, entry: Entry | None) -> None:
        """The next row; None for one that cannot be read."""
        self.seq = seq
        if entry is None or not _AT.fullmatch(entry.at):
            self.unreadable += 1
        elif entry.kind in _STEPS:
            self._begin(entry)
        elif entry.kind == OUTCOME:
            self._end(entry)
        elif entry.kind == MOVED:
            self.moved = _text(entry.fields.get("reason"))
        if entry is not None and (entry.kind in (TASK, RELEASE) or (entry.kind == OUTCOME and entry.fields.get("tasks"))):
            self._follow(seq, entry)

    def _follow(self, seq: int, entry: Entry) -> None:
        """What follows a PASS: the columns of the row, as `open_tasks` reads them, and the text of those that it opens."""
        columns = entry.copies()
        self.tasks.take(seq, entry.kind, entry.attempt, columns["mac"], columns["device"], columns["task"])
        for key, task in self.tasks.tasks.items():
            if task.seq == seq:
                self.tasks.tasks[key] = described(task, entry.canonical())

    def _begin(self, entry: Entry) -> None:
        began = self._open.setdefault(entry.attempt, entry.at)
        self._place(entry, _STEPS[entry.kind], began)

    def _end(self, entry: Entry) -> None:
        fields = entry.fields
        outcome = fields.get("outcome")
        if outcome not in OUTCOMES:
            self.unreadable += 1
            return
        began = self._open.pop(entry.attempt, entry.at)
        hour = entry.at[:13]
        if fields.get("job") in JOBS:
            board = _text(fields.get("mac")) or entry.attempt
            # What a later run ended in another's stead was over before that run began.
            if "settles" not in fields or board not in self._last:
                self._boards.setdefault(hour, {})[board] = outcome
                self._last[board] = (hour, outcome)
            if outcome != "pass":
                self._codes.setdefault(hour, Counter())[_text(fields.get("code"))] += 1
        if "settles" not in fields:
            self._place(entry, outcome, began)

    def _place(self, entry: Entry, state: str, began: str) -> None:
        fields = entry.fields
        place = (_text(fields.get("station")), _text(fields.get("port")))
        if not any(place):
            return
        self._slots.pop(place, None)  # the newest is the last of them
        self._slots[place] = _Slot(entry.attempt, state, entry.at, fields, began)
        if len(self._slots) > SLOTS:
            del self._slots[next(iter(self._slots))]

    def prune(self, now: datetime.datetime) -> None:
        """Forget what is older than the window."""
        oldest = _stamp(now - datetime.timedelta(hours=self.hours - 1))[:13]
        for table in (self._boards, self._codes):
            for hour in [hour for hour in table if hour < oldest]:
                del table[hour]
        for board in [board for board, (hour, _) in self._last.items() if hour < oldest]:
            del self._last[board]
        for attempt in [attempt for attempt, began in self._open.items() if began[:13] < oldest]:
            del self._open[attempt]
        for place in [place for place, slot in self._slots.items() if slot.since[:13] < oldest]:
            del self._slots[place]

    def snapshot(self, now: datetime.datetime) -> dict[str, Any]:
        """Everything on the page but the ledger's name, as JSON takes it. `now`: UTC."""
        self.prune(now)
        ends = Counter(outcome for _, outcome in self._last.values())
        return {
            "at": _stamp(now),
            "seq": self.seq,
            "window": self.hours,
            "stale": STALE_SECONDS,
            "unreadable": self.unreadable,
            "moved": self.moved,
            "totals": {"boards": sum(ends.values()), **{name: ends[name] for name in OUTCOMES}, "yield": _yield(ends)},
            "hours": self._hours(now),
            "failures": self._failures(),
            "tasks": self._tasks(),
            "slots": [self._slot(*place, slot) for place, slot in sorted(self._slots.items())],
        }

    def _hours(self, now: datetime.datetime) -> list[dict[str, Any]]:
        hours = [_stamp(now - datetime.timedelta(hours=back))[:13] for back in range(self.hours - 1, -1, -1)]
        made = []
        for hour in hours:
            ends = Counter(self._boards.get(hour, {}).values())
            made.append({"hour": f"{hour}:00:00Z", **{name: ends[name] for name in OUTCOMES}, "yield": _yield(ends)})
        return made

    def _failures(self) -> list[dict[str, Any]]:
        codes: Counter[str] = Counter()
        for hour in self._codes.values():
            codes.update(hour)
        # The same order for the same numbers, so that bars do not change places.
        ranked = sorted(codes.items(), key=lambda item: (-item[1], item[0]))
        shown, rest = ranked[:CODES], ranked[CODES:]
        made = [{"code": code, "count": count, "means": ROWS[code].means if code in ROWS else ""} for code, count in shown]
        if rest:
            made.append({"code": f"{len(rest)} others", "count": sum(count for _, count in rest), "means": ""})
        return made

    def _tasks(self) -> list[dict[str, Any]]:
        newest = list(self.tasks.tasks.values())[-TASKS:]
        names = ("task", "state", "mac", "device", "at", "message")
        return [{name: _text(getattr(task, name)) for name in names} for task in reversed(newest)]

    def _slot(self, station: str, port: str, slot: _Slot) -> dict[str, Any]:
        texts = {name: _text(slot.fields.get(name)) for name in ("mac", "device", "product", "code", "message")}
        return {"station": station, "port": port, "state": slot.state, "began": slot.began, "since": slot.since, **texts}


def _yield(ends: Counter[str]) -> float | None:
    """Percent of the boards that passed, of those that passed or failed: an error is the station's. None where there are none."""
    tried = ends["pass"] + ends["fail"]
    return round(100 * ends["pass"] / tried, 1) if tried else None


def _stamp(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(value: object) -> str:
    """A field of a row for people: one line, not longer than a line, nothing where it is not text."""
    return one_line(value)[:300] if isinstance(value, str) else ""
