"""A plan file, checked: which signed sets go to which devices of a fleet, in which order, and when that is stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from provisioning.config import yaml_source
from provisioning.config.document import Document, shown
from provisioning.config.plan_file import PlanFile, WaveFile
from provisioning.config.text_file import read_text
from provisioning.config.validate import validate

FORWARD, BACK = "forward", "back"
JOBS, CABLE = "jobs", "cable"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Rules:
    """Shares are 0 to 1, times seconds. `rolled_back`: devices that may; `minimum`: answers before a share counts."""

    failed: float = 0.05
    silent: float = 0.2
    silent_after: int = 259_200
    rolled_back: int = 0
    minimum: int = 10
    success: float = 0.9
    pause: int = 0


@dataclass(frozen=True)
class ByJobs:
    """How jobs carry it; times in seconds."""

    per_minute: int = 100
    timeout: int = 86_400
    seen_within: int = 2_592_000
    firmware: str = "1.22"
    topic: str | None = None
    stream: tuple[str, str] | None = None  # bucket and role


@dataclass(frozen=True)
class Wave:
    """`devices`: a list; `rest`: all that no other wave has; else what a device must fit, and `canary`, how many of those."""

    name: str
    by: str
    devices: tuple[str, ...] = ()
    rest: bool = False
    canary: int | None = None
    where: Mapping[str, frozenset[str]] = field(default_factory=dict)
    firmware: frozenset[str] = frozenset()
    phase: frozenset[str] = frozenset()
    seen_within: int | None = None
    count: int | None = None

    @property
    def meaning(self) -> tuple[Any, ...]:
        """What decides about its devices and what carries the set to them."""
        where = tuple(sorted((key, tuple(sorted(values))) for key, values in self.where.items()))
        fits = (self.canary, where, tuple(sorted(self.firmware)), tuple(sorted(self.phase)), self.seen_within)
        return self.name, self.by, self.devices, self.rest, *fits


@dataclass(frozen=True)
class Pinned:
    """A signed set's file; `sha256` where the plan says it."""

    file: Path
    sha256: str | None


@dataclass(frozen=True)
class Plan:
    """`now`, `wanted`, `back`: product files. `at`: unix seconds of the moment when it was made; `members`: SHA-256 over the devices of the
    waves then. `text`: of the file; `sha256`: over what it says, without the numbers that `migrate plan` brings up to date."""

    name: str
    product: str
    now: Path
    wanted: Path
    back: Path
    sets: Mapping[str, Pinned]
    rules: Rules
    jobs: ByJobs
    waves: tuple[Wave, ...]
    at: int
    devices: int
    members: str
    text: str = field(repr=False)
    sha256: str
    document: Document = field(repr=False, compare=False)

    @property
    def source(self) -> Path:
        """The file."""
        return self.document.path

    def wave(self, name: str) -> Wave | None:
        """The wave of that name."""
        return next((wave for wave in self.waves if wave.name == name), None)

    def product_of(self, direction: str) -> Path:
        """The product file that a cable writes."""
        return self.wanted if direction == FORWARD else self.back


def load(path: Path) -> Plan:
    """The plan in the file `path`. Raises InputError with file, line and key."""
    document = yaml_source.load(path)
    raw = validate(PlanFile, document)
    text = read_text(path)
    folder = path.parent
    for index, wave in enumerate(raw.waves):
        if wave.name in [other.name for other in raw.waves[:index]]:
            raise document.error(("waves", index, "name"), "bad-value", f"{wave.name!r} is another wave's, too", "Each wave needs its own.")
    rests = [index for index, wave in enumerate(raw.waves) if wave.rest]
    if len(rests) > 1:
        raise document.error(("waves", rests[1], "rest"), "bad-value", "another wave has the rest already", "One wave takes the rest.")
    _once(raw, document)
    stream = (raw.jobs.stream.bucket, raw.jobs.stream.role) if raw.jobs.stream else None
    if stream and raw.jobs.topic:
        raise document.error(("jobs", "topic"), "bad-value", "there is a stream, too", "Devices get a set in one way: keep one of them.")
    return Plan(
        name=raw.plan,
        product=raw.product,
        now=folder / raw.products.now,
        wanted=folder / raw.products.wanted,
        back=folder / raw.products.back,
        sets={
            FORWARD: Pinned(folder / raw.sets.forward.file, raw.sets.forward.sha256),
            BACK: Pinned(folder / raw.sets.back.file, raw.sets.back.sha256),
        },
        rules=Rules(
            share(raw.rules.failed),
            share(raw.rules.silent),
            seconds(raw.rules.silent_after),
            raw.rules.rolled_back,
            raw.rules.minimum,
            share(raw.rules.success),
            seconds(raw.rules.pause),
        ),
        jobs=ByJobs(
            raw.jobs.per_minute, seconds(raw.jobs.timeout), seconds(raw.jobs.seen_within), raw.jobs.firmware, raw.jobs.topic, stream
        ),
        waves=tuple(_wave(wave) for wave in raw.waves),
        at=moment(raw.planned.at, document),
        devices=raw.planned.devices,
        members=raw.planned.members,
        text=text,
        sha256=_digest(document.data),
        document=document,
    )


def _digest(data: Mapping[str, Any]) -> str:
    meaning = {key: value for key, value in data.items() if key != "planned"}
    meaning["waves"] = [{key: value for key, value in wave.items() if key != "count"} for wave in data["waves"]]
    return hashlib.sha256(json.dumps(meaning, sort_keys=True, default=str).encode()).hexdigest()


def share(text: str) -> float:
    """0.05 for 5%."""
    return float(text.removesuffix("%")) / 100


def seconds(text: str) -> int:
    """86400 for 1d."""
    return int(text[:-1]) * _UNITS[text[-1]]


def moment(text: str, document: Document) -> int:
    """Unix seconds."""
    try:
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp())
    except ValueError:
        raise document.error(("planned", "at"), "bad-value", "is not a date of the calendar", "For example 2026-12-01T10:00:00Z.") from None


def moment_text(at: int) -> str:
    """As plan files have it."""
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _once(raw: PlanFile, document: Document) -> None:
    """A device is in one list only, and once."""
    seen: dict[str, str] = {}
    for index, wave in enumerate(raw.waves):
        for place, device in enumerate(wave.devices or ()):
            if device in seen:
                problem = f"{device!r} is in wave {seen[device]} already"
                raise document.error(("waves", index, "devices", place), "bad-value", problem, f"Remove it in {shown(document.path)}.")
            seen[device] = wave.name


def _words(value: str | list[str] | None) -> frozenset[str]:
    return frozenset([value] if isinstance(value, str) else value or ())


def _wave(raw: WaveFile) -> Wave:
    return Wave(
        raw.name,
        raw.by,
        tuple(raw.devices or ()),
        raw.rest,
        raw.canary,
        {key: _words(value) for key, value in (raw.where or {}).items()},
        _words(raw.firmware),
        _words(raw.phase),
        seconds(raw.seen_within) if raw.seen_within else None,
        raw.count,
    )
