"""A first plan, made from what is known of a fleet: canaries, then site by site, then the rest; people change it and review it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from provisioning import atomic_files
from provisioning.config.document import shown
from provisioning.config.load import load_product
from provisioning.errors import InputError, StationError
from provisioning.fleet import start
from provisioning.fleet.device import Device
from provisioning.fleet.membership import REASONS, Membership, Terms, resolve, unfit
from provisioning.fleet.offer import Offer, of_products
from provisioning.fleet.plan import CABLE, JOBS, ByJobs, Plan, Wave, moment_text
from provisioning.fleet.store import FleetStore
from provisioning.ledger.store import Ledger
from provisioning.migration import phases, yaml_edit

SITE = "site"  # the column by which a list of devices says where each is
_MOST_SITES = 20  # waves by site; more of them are waves that nobody reviews
_SMALL = 20  # devices, below which one canary is enough
_MOST_NAMED = 5


@dataclass(frozen=True)
class Draft:
    """`text`: of the plan's file; `membership`: what its waves select."""

    text: str
    waves: tuple[Wave, ...]
    membership: Membership


def product_files(product: Path, phase: str | None, newest: int = 0) -> tuple[Path, Path]:
    """The product of the phase that is wanted, and of the way back: made beside `product` where they are not there, with two versions
    that nobody has. `phase` None: the phase stays, another set goes out: a root that was retired, an application. `newest`: the highest
    version that is known of the fleet. Raises InputError."""
    loaded = load_product(product)
    here = phases.position(loaded) if phase is not None else None
    if here is not None and phase not in phases.possible(here.endpoint):
        raise InputError(
            "bad-phase", f"{phase} is not possible with {here.endpoint}.", f"Possible: {', '.join(phases.possible(here.endpoint))}."
        )
    if here is not None and phase == here.phase:
        hint = "Name another one with --to, or leave --to out: the fleet then gets the next version in the same phase."
        raise InputError("same-phase", f"{shown(product)} is in the phase {phase} already.", hint)
    version = max(loaded.version, newest)
    changes: dict[yaml_edit.Path_, str] = {("cloud", "phase"): phase} if phase is not None else {}
    wanted = _made(product, {**changes, ("version",): str(version + 1)}, phase)
    return wanted, _made(product, {("version",): str(version + 2)}, "back" if phase is not None else None)


def _made(product: Path, changes: dict[yaml_edit.Path_, str], name: str | None) -> Path:
    """PRODUCT.NAME.yaml, or PRODUCT.v4.yaml where that is another file, from an earlier plan. Raises InputError where both are."""
    text = yaml_edit.changed(product, changes)
    names = [*([name] if name else []), f"v{changes['version',]}"]
    for each in names:
        path = product.with_name(f"{product.stem}.{each}{product.suffix}")
        if not path.exists():
            yaml_edit.change_file(product, changes, path)
            return path
        if path.read_bytes() == text:
            return path
    hint = "Is it of an earlier plan, then move it away; is it what you want, then write it into a plan's `products:` by hand."
    raise InputError("file-exists", f"{shown(path)} exists and is not what would be written.", hint)


def draft(ledger: Ledger, name: str, now: Path, wanted: Path, back: Path, file: Path, sets: tuple[str, str], at: int) -> Draft:
    """A plan for the fleet of the product `now`, to be written to `file`; `sets`: names of the signed sets; `at`: unix seconds."""
    here = load_product(now)
    offer = of_products(here, load_product(wanted), load_product(back))
    jobs = ByJobs()
    terms = start.terms_of(offer, jobs, at)
    fleet = [_slim(device) for device in FleetStore(ledger).devices(here.name)]  # read once: that is what takes the time
    waves = first_waves(fleet, terms)
    found = resolve(name, waves, fleet, terms)
    waves = tuple(replace(wave, count=len(found.waves[wave.name])) for wave in waves if found.waves[wave.name] or wave.rest)
    found = replace(found, waves={wave.name: found.waves[wave.name] for wave in waves})
    products = [os.path.relpath(path.resolve(), file.resolve().parent).replace(os.sep, "/") for path in (now, wanted, back)]
    return Draft(_text(name, here.name, products, sets, jobs, waves, found, at), waves, found)


def _slim(device: Device) -> Device:
    """Without what decides nothing here."""
    return Device(
        device.product,
        device.device,
        device.source,
        device.seen,
        device.version,
        device.refused,
        device.phase,
        device.firmware,
        trusts=device.trusts,
        anchored=device.anchored,
        attributes=device.attributes,
    )


def first_waves(devices: Iterable[Device], terms: Terms) -> tuple[Wave, ...]:
    """Canaries, sites from the smallest to the largest or else a tenth, the rest."""
    by = JOBS if terms.signed else CABLE
    sites: dict[str, int] = {}
    count = 0
    for device in devices:
        if not unfit(device, by, terms):
            count += 1
            site = device.attributes.get(SITE)
            if site:
                sites[site] = sites.get(site, 0) + 1
    waves = [Wave("canary", by, canary=1 if count < _SMALL else max(5, min(50, count // 100)))]
    if 2 <= len(sites) <= _MOST_SITES:
        for number, site in enumerate(sorted(sites, key=lambda each: (sites[each], each)), 1):
            slug = re.sub(r"[^A-Za-z0-9]+", "-", site).strip("-")[:15]
            waves.append(Wave(f"site-{number}-{slug}".rstrip("-"), by, where={SITE: frozenset([site])}))
    elif count >= 10 * _SMALL:
        waves.append(Wave("tenth", by, canary=count // 10))
    return (*waves, Wave("rest", by, rest=True))


def refresh(ledger: Ledger, plan: Plan, offer: Offer, at: int) -> Membership:
    """Bring the numbers of a plan's file up to date, and leave every other character alone. Raises InputError, StationError."""
    plan = replace(plan, at=at)
    found = start.members(ledger, plan, offer)
    changes: dict[tuple[str | int, ...], str] = {
        ("planned", "at"): moment_text(at),
        ("planned", "devices"): str(found.devices),
        ("planned", "members"): found.sha256,
        ("planned", "not_served"): str(len(found.absent)),
    }
    for index, wave in enumerate(plan.waves):
        changes["waves", index, "count"] = str(len(found.waves[wave.name]))
    yaml_edit.change_file(plan.source, changes)
    return found


def check_new(file: Path) -> None:
    """Raises InputError where `write` would: before anything else is made."""
    if file.exists():
        raise _exists(file)
    if not file.parent.is_dir():
        raise InputError("no-folder", f"There is no folder {shown(file.parent)} for {file.name}.", "Make it, or give --waves another name.")


def _exists(file: Path) -> InputError:
    return InputError("file-exists", f"{shown(file)} exists and is not overwritten.", "Give --waves another name.")


def write(file: Path, text: str) -> None:
    """Raises InputError where there is a file already: somebody may have reviewed it."""
    try:
        atomic_files.create(file, text.encode(), 0o644)
    except FileExistsError:
        raise _exists(file) from None
    except OSError as error:
        raise StationError(
            "cannot-write", f"{shown(file)} cannot be written: {error.strerror}.", "Check the folder and the disk."
        ) from None


def summary(waves: Iterable[Wave], found: Membership) -> list[str]:
    """The waves with their devices, and who is in none: for people."""
    lines = [f"  {wave.name:<24} by {wave.by:<5} {len(found.waves[wave.name]):>7} devices" for wave in waves]
    named: dict[str, list[str]] = {}
    for device, word in found.absent.items():
        names = named.setdefault(word, [])
        if len(names) < _MOST_NAMED:
            names.append(device)
    for word, count in found.reasons().items():
        more = ", …" if count > len(named[word]) else ""
        lines.append(f"  {count} devices in no wave: {REASONS[word]} ({', '.join(named[word])}{more})")
    if found.unknown:
        lines.append(
            f"  {len(found.unknown)} devices are listed and nothing is known of them: {', '.join(list(found.unknown)[:_MOST_NAMED])}"
        )
    return lines


def _text(
    name: str, product: str, products: list[str], sets: tuple[str, str], jobs: ByJobs, waves: Iterable[Wave], found: Membership, at: int
) -> str:
    quoted = json.dumps
    lines = [
        "# Review it. After a change `twinroot migrate plan FILE` brings its numbers up to date; `twinroot migrate run FILE` runs it.",
        f"plan: {quoted(name)}",
        f"product: {quoted(product)}",
        f"products: {{now: {quoted(products[0])}, wanted: {quoted(products[1])}, back: {quoted(products[2])}}}",
        "sets:   # both are made and signed before the first wave starts",
        f"  forward: {{file: {quoted(sets[0])}}}",
        f"  back: {{file: {quoted(sets[1])}}}",
        "rules:",
        "  failed: 5%          # of those that answered",
        "  silent: 20%         # of the wave",
        "  silent_after: 3d",
        "  rolled_back: 0      # one stops the wave",
        "  minimum: 10         # answers before a share counts; in a smaller wave all of it",
        "  success: 90%        # of the wave, before the next one begins",
        "  pause: 0s",
        "jobs:",
        f"  per_minute: {jobs.per_minute}",
        f"  seen_within: {jobs.seen_within // 86400}d    # who was silent for longer is not offered it",
        "  # stream: {bucket: NAME, role: ARN}   or `topic:`, for a signed set that is larger than a job's document (24 KB)",
        "waves:",
    ]
    for wave in waves:
        parts = [f"name: {wave.name}", f"by: {wave.by}"]
        parts += [f"canary: {wave.canary}"] if wave.canary else []
        parts += ["rest: true"] if wave.rest else []
        parts += [f"where: {{{column}: {quoted(value)}}}" for column, values in wave.where.items() for value in values]
        lines.append(f"  - {{{', '.join(parts)}, count: {wave.count}}}")
    lines += [
        "planned:",
        f"  at: {moment_text(at)}",
        f"  devices: {found.devices}",
        f"  members: {found.sha256}",
        f"  not_served: {len(found.absent)}",
    ]
    absent = found.reasons()
    lines += [f"# {count} devices are in no wave: {REASONS[word]}" for word, count in absent.items()]
    return "\n".join(lines) + "\n"
