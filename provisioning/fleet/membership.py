"""Which device is in which wave, and who is in none and why: decided from what is known of the fleet, the same way every time.

One pass over the devices: what is held is the names, so that a fleet of 100,000 takes some ten megabytes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from provisioning.fleet.device import Device
from provisioning.fleet.plan import JOBS, ByJobs, Wave

# Why a device is in no wave. What stands in status and in the plan is the text; programs rely on the words.
REASONS = {
    "has-it": "it has this version already",
    "newer": "it has a newer set, and devices take no older one",
    "no-evidence": "nothing shows that it ever connected by a root of that set, which leaves one that it has: it may be lost",
    "never-seen": "there is no sign of life of it",
    "silent": "it has been silent for too long",
    "rolled-back": "it rolled this version, or a later one, back before and takes it no more over the air",
    "old-firmware": "its firmware is too old for a set over the air",
    "no-updates": "its set has no vendor key, so it takes no signed set",
    "not-selected": "no wave selects it",
}


@dataclass(frozen=True)
class Terms:
    """What decides beside the waves. `version`: of the set that is offered; `roots`: by which it connects; `leaves`: whether it leaves a
    root that devices may have, which counts for those of whom it is not known what they trust; `signed`: whether the phase now takes
    signed sets; `at`: unix seconds."""

    version: int
    roots: frozenset[str]
    leaves: bool
    signed: bool
    jobs: ByJobs
    at: int


@dataclass
class Membership:
    """`waves`: name -> devices, sorted; `absent`: device -> word of REASONS."""

    waves: dict[str, list[str]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)  # device that a wave lists and nobody has seen -> wave

    @property
    def sha256(self) -> str:
        """Over wave and device of each."""
        digest = hashlib.sha256()
        for name, devices in self.waves.items():
            for device in devices:
                digest.update(f"{name}\0{device}\n".encode())
        return digest.hexdigest()

    @property
    def devices(self) -> int:
        """In waves."""
        return sum(map(len, self.waves.values()))

    def reasons(self) -> dict[str, int]:
        """Word of REASONS -> devices."""
        counts: dict[str, int] = {}
        for word in self.absent.values():
            counts[word] = counts.get(word, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: -item[1]))


def resolve(
    name: str, waves: Iterable[Wave], devices: Iterable[Device], terms: Terms, begun: Mapping[str, Sequence[str]] | None = None
) -> Membership:
    """Devices in waves: the first that selects a device has it, a list before what fits, the rest last. `name`: of the plan, which decides
    who is a canary; `begun`: the devices of waves that have started: they stay there whatever is known of them now, and nobody joins."""
    begun = begun or {}
    made = Membership({wave.name: [*begun.get(wave.name, ())] for wave in waves})
    waves = [wave for wave in waves if wave.name not in begun]
    listed = {device: wave for wave in waves for device in wave.devices}
    rest = [wave for wave in waves if wave.rest]
    started = {device for devices_of in begun.values() for device in devices_of}
    row: list[_Ranked] = []  # of those who may be canaries
    for device in devices:
        id_ = device.device
        own = listed.pop(id_, None)
        if id_ in started:
            continue
        choices = [own] if own else [wave for wave in waves if _selects(wave, device, terms)] + rest
        why = {by: unfit(device, by, terms) for by in {wave.by for wave in choices}}
        fitting = tuple(wave for wave in choices if not why[wave.by])
        if not fitting:
            made.absent[id_] = (why[choices[0].by] if choices else unfit(device, JOBS, terms)) or "not-selected"
        elif fitting[0].canary:
            row.append(_Ranked(_order(name, id_), id_, device.firmware or "", fitting))
        else:
            made.waves[fitting[0].name].append(id_)
    _canaries(made, row)
    for id_, wave in listed.items():
        if id_ not in started:
            made.unknown[id_] = wave.name
            if wave.by != JOBS:
                made.waves[wave.name].append(id_)
    for members in made.waves.values():
        members.sort()
    return made


class _Ranked(NamedTuple):
    order: bytes
    device: str
    firmware: str
    waves: tuple[Wave, ...]


def _canaries(made: Membership, row: list[_Ranked]) -> None:
    """Canaries first, firmware by firmware in turn, so that each kind is among them; the others go where they fit else."""
    seen: dict[str, int] = {}
    ranked = []
    for one in sorted(row, key=lambda one: one.order):
        seen[one.firmware] = seen.get(one.firmware, 0) + 1
        ranked.append((seen[one.firmware], one))
    for _, one in sorted(ranked, key=lambda pair: (pair[0], pair[1].order)):
        wave = next((each for each in one.waves if not each.canary or len(made.waves[each.name]) < each.canary), None)
        if wave is None:
            made.absent[one.device] = "not-selected"
        else:
            made.waves[wave.name].append(one.device)


def unfit(device: Device, by: str, terms: Terms) -> str:
    """Why a carrier does not serve this device, a word of REASONS; empty where it does."""
    if device.version == terms.version:
        return "has-it"
    if device.version is not None and device.version > terms.version:
        return "newer"
    leaves = not terms.roots.issuperset(device.trusts) if device.trusts else terms.leaves
    if leaves and not any(device.anchored[root].good for root in terms.roots if root in device.anchored):
        return "no-evidence"
    if by != JOBS:
        return ""
    if not terms.signed:
        return "no-updates"
    if device.refused is not None and device.refused >= terms.version:
        return "rolled-back"
    if device.seen is None:
        return "never-seen"
    if device.firmware and numbers(device.firmware) < numbers(terms.jobs.firmware):
        return "old-firmware"
    return "silent" if device.seen < terms.at - terms.jobs.seen_within else ""


@lru_cache(maxsize=1000)
def numbers(version: str) -> tuple[int, ...]:
    """(1, 22, 0) of v1.22.0-preview."""
    found = re.match(r"[^0-9]*(\d{1,6})(?:\.(\d{1,6}))?(?:\.(\d{1,6}))?", version)
    return tuple(int(part or 0) for part in found.groups()) if found else (0, 0, 0)


def _selects(wave: Wave, device: Device, terms: Terms) -> bool:
    if wave.rest or wave.devices:
        return False
    if any(device.attributes.get(column) not in values for column, values in wave.where.items()):
        return False
    if wave.firmware and device.firmware not in wave.firmware:
        return False
    if wave.phase and device.phase not in wave.phase:
        return False
    return wave.seen_within is None or (device.seen is not None and device.seen >= terms.at - wave.seen_within)


def _order(plan: str, device: str) -> bytes:
    """A place in a row that nobody chose and everybody finds again."""
    return hashlib.sha256(f"{plan}\0{device}".encode()).digest()
