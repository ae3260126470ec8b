"""A fleet in figures, made in one pass over its devices: who trusts and uses what, who is silent, and whom a change would lose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from provisioning.fleet import breaks
from provisioning.fleet.breaks import Breaks, Event, Fate, Today
from provisioning.fleet.device import Device
from provisioning.fleet.sets import Configuration, KnownSets
from provisioning.migration import phases
from provisioning.trust.endpoint import classify
from provisioning.trust.routes import Route, derive

if TYPE_CHECKING:
    from provisioning.config.product import Product

FIRST = 5  # devices that are named of each group
DAY = 86400


@dataclass
class Group:
    """How many devices, and the first of them by name."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def take(self, device: str) -> None:
        """One more."""
        self.count += 1
        if len(self.first) < FIRST:
            self.first.append(device)

    @property
    def text(self) -> str:
        """The names, as a sentence has them."""
        return ", ".join(self.first) + (", …" if self.count > len(self.first) else "")


@dataclass
class Figures:
    """`never`: without any sign of life; `silent`: seen, and not within the days; `roots`: root -> devices whose last connection it
    anchored; `trusted`: root -> devices whose set has it; `errors`: "route: kind" -> devices; `fates`: event -> word -> devices."""

    devices: int = 0
    never: Group = field(default_factory=Group)
    silent: Group = field(default_factory=Group)
    phases: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    firmware: Counter[str] = field(default_factory=Counter)
    roots: Counter[str] = field(default_factory=Counter)
    routes: Counter[str] = field(default_factory=Counter)
    trusted: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    refused: Group = field(default_factory=Group)
    fates: dict[Event, dict[str, Group]] = field(default_factory=dict)

    def of(self, event: Event, *words: str) -> Group:
        """The devices with one of these fates, together."""
        made = Group()
        for word in words:
            group = self.fates.get(event, {}).get(word, Group())
            made.count += group.count
            made.first += group.first[: FIRST - len(made.first)]
        return made


@dataclass(frozen=True)
class Questions:
    """What is asked of each device of a product. `days`: who was not seen for so long counts as silent."""

    sets: KnownSets
    events: tuple[Event, ...]
    targets: dict[str, tuple[Route, ...]]
    now: int
    days: int
    today: Today | None = None

    def breaks(self) -> Breaks:
        """Answers them."""
        return Breaks(self.events, self.sets, self.targets, self.now - self.days * DAY, self.today)


def questions(product: Product, sets: KnownSets, now: int, days: int, today: Today | None = None) -> Questions:
    """Every root and endpoint that the product's sets have, and every phase that it may be in."""
    routes = [route for one in sets for route in one.routes]
    roots = dict.fromkeys(root for route in routes for root in route.roots)
    hosts = dict.fromkeys(route.host for route in routes)
    targets = phases_of(product)
    events = [
        *(Event(breaks.ROOT, root) for root in roots),
        *(Event(breaks.ENDPOINT, host) for host in hosts),
        *(Event(breaks.PHASE, phase) for phase in targets),
    ]
    return Questions(sets, tuple(events), targets, now, days, today)


def phases_of(product: Product) -> dict[str, tuple[Route, ...]]:
    """Phase -> its routes; none for routes that no phase derives."""
    first = product.routes[0]
    if phases.phase_of(product.routes) is None or classify(first.host).cls not in ("ats", "legacy"):
        return {}
    bench = {cls: tuple(root.name for root in roots) for cls, roots in product.lab_roots.items()}
    return {phase: derive(first.host, first.port, phase, bench=bench) for phase in phases.possible(first.host)}


def add_up(devices: Iterable[Device], asked: Questions, each: Callable[[Device, tuple[Fate, ...]], None] | None = None) -> Figures:
    """The figures of `devices`; `each` gets every device with its fates."""
    made = Figures(fates={event: {} for event in asked.events})
    answers = asked.breaks()
    silent_before = asked.now - asked.days * DAY
    groups = [made.fates[event] for event in asked.events]
    for device in devices:
        _count(made, device, asked.sets.of(device), silent_before)
        fates = answers.of(device)
        for group, fate in zip(groups, fates, strict=True):
            found = group.get(fate.word)
            if found is None:
                found = group[fate.word] = Group()
            found.take(device.device)
        if each is not None:
            each(device, fates)
    return made


def _count(made: Figures, device: Device, has: Configuration | None, silent_before: int) -> None:
    made.devices += 1
    if device.seen is None:
        made.never.take(device.device)
    elif device.seen < silent_before:
        made.silent.take(device.device)
    made.phases[phase_of(device, has) or "unknown"] += 1
    made.versions["unknown" if device.version is None else str(device.version)] += 1
    made.firmware[device.firmware or "unknown"] += 1
    root = root_of(device, has)
    if root is not None:
        made.roots[root] += 1
    if device.route is not None:
        made.routes[device.route] += 1
    for root in trusts_of(device, has):
        made.trusted[root] += 1
    for route, kind in device.errors.items():
        made.errors[f"{route}: {kind}"] += 1
    if device.refused is not None and device.refused != device.version:
        made.refused.take(device.device)


def phase_of(device: Device, has: Configuration | None) -> str | None:
    """The phase of its set."""
    return has.phase if has is not None else device.phase


def trusts_of(device: Device, has: Configuration | None) -> tuple[str, ...]:
    """The roots of its set."""
    return has.trusts if has is not None else device.trusts


def root_of(device: Device, has: Configuration | None) -> str | None:
    """The root that anchored the last connection: as reported, or the only one that the route has."""
    if device.route is not None and has is not None and device.route in has.names:
        roots = has.routes[has.names.index(device.route)].roots
        used = [root for root in roots if root in device.anchored]
        if len(used or roots) == 1:
            return (used or list(roots))[0]
        return device.root if device.root in roots else None
    return device.root


def as_json(figures: Figures) -> dict[str, Any]:
    """For --json."""
    plain = {
        name: dict(sorted(value.items()))
        for name in ("phases", "versions", "firmware", "roots", "routes", "trusted", "errors")
        for value in (getattr(figures, name),)
    }
    fates: dict[str, dict[str, Any]] = {breaks.ROOT: {}, breaks.ENDPOINT: {}, breaks.PHASE: {}}
    for event, groups in figures.fates.items():
        fates[event.kind][event.name] = {word: vars(groups[word]) for word in breaks.FATES if word in groups}
    return {
        "devices": figures.devices,
        "never": vars(figures.never),
        "silent": vars(figures.silent),
        **plain,
        "refused": vars(figures.refused),
        "breaks": fates,
    }


def lines(figures: Figures, days: int, today: Today | None) -> Iterator[str]:
    """For people."""
    yield f"  {figures.devices} devices are known"
    for name, label in (("phases", "phase"), ("versions", "version"), ("firmware", "MicroPython")):
        counted = getattr(figures, name)
        if set(counted) - {"unknown"}:
            yield f"  {label}: " + ", ".join(f"{value} {count}" for value, count in sorted(counted.items()))
    for name, text in (
        ("trusted", "trust"),
        ("roots", "connected last by"),
        ("routes", "used last the route"),
        ("errors", "saw last an error on"),
    ):
        for value, count in sorted(getattr(figures, name).items()):
            yield f"  {count} {text} {value}"
    if figures.refused.count:
        yield f"  {figures.refused.count} rolled a version back: {figures.refused.text}"
    if figures.silent.count:
        yield f"  {figures.silent.count} were not seen for {days} days: {figures.silent.text}"
    if figures.never.count:
        yield f"  {figures.never.count} have never been seen: {figures.never.text}"
    yield "  what breaks today:" if today is None else "  what breaks today, as the endpoints are now:"
    for event, groups in figures.fates.items():
        parts = [_part(word, groups[word]) for word in breaks.FATES if word in groups]
        yield f"    {event}: " + "; ".join(parts)


def _part(word: str, group: Group) -> str:
    return f"{group.count} {word}" + (f" ({group.text})" if word in (*breaks.NEED, breaks.SILENT) else "")
