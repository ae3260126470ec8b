"""Leaving a root for good: who needs it still, and the edits of the product file when nobody does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from provisioning.config.document import shown
from provisioning.config.load import load_product
from provisioning.config.text_file import read_text
from provisioning.errors import BoardError, InputError
from provisioning.fleet import breaks
from provisioning.fleet.breaks import Event
from provisioning.fleet.device import Device
from provisioning.fleet.figures import Figures, phases_of
from provisioning.migration import yaml_edit
from provisioning.trust.roots import STANDINGS

if TYPE_CHECKING:
    from provisioning.config.product import Product

# Fate -> what it means, in a sentence with its devices, and what to do.
_WHY = {
    breaks.LOST: (
        "have no other way to connect",
        "Give them a set with both routes: twinroot update, or a wave of `twinroot migrate run`.",
    ),
    breaks.UNPROVEN: (
        "have another route and never connected by it",
        "Bring them a set that has both routes and prefers that one (`twinroot update`, or a wave), and collect their reports; or --gone.",
    ),
    breaks.UNKNOWN: (
        "have left no evidence",
        "Collect their reports (twinroot migrate collect), or take devices that are gone for good out with --gone.",
    ),
}


@dataclass(frozen=True)
class Edit:
    """What retiring changes in a product file: the phase, where it is another one, `cloud.retired` and `version`."""

    root: str
    phase: str | None


def lack(figures: Figures, event: Event) -> str:
    """Who needs what goes, or may, as the end of a sentence; an empty text where nobody does."""
    groups = ((what, figures.of(event, word)) for word, (what, _) in _WHY.items())
    return "; ".join(f"{group.count} {what} ({group.text})" for what, group in groups if group.count)


def refusal(figures: Figures, event: Event) -> BoardError | None:
    """Why a root may not go, by the evidence; None where nobody needs it."""
    found = lack(figures, event)
    if not found:
        return None
    hint = next(next_ for word, (_, next_) in _WHY.items() if figures.of(event, word).count)
    return BoardError("still-needed", f"{event.name} is needed: {found}.", hint)


def edit_for(product: Product, root: str) -> Edit:
    """The edit that retires `root`. Raises InputError where it takes a person."""
    if all(root not in route.roots for route in product.routes):
        return Edit(root, None)
    without = _without(product, root)
    document = product.document
    derived = ("cloud", "endpoint") in document.values and ("cloud", "routes", 0) not in document.values
    if not without or not derived:
        return Edit(root, None) if derived else _by_hand(product, root)
    return Edit(root, without[-1])


def _without(product: Product, root: str) -> list[str]:
    """The phases that do not have it."""
    return [phase for phase, routes in phases_of(product).items() if all(root not in route.roots for route in routes)]


def _by_hand(product: Product, root: str) -> Edit:
    names = ", ".join(route.name for route in product.routes if root in route.roots)
    raise InputError(
        "routes-by-hand",
        f"{product.source}: {root} is a root of the route {names}, which is written by hand.",
        f"Take it out of `routes:`, raise `version`, and run this again: it sees that nobody needs it, and writes `retired: [{root}]`.",
    )


def worse(product: Product, root: str) -> None:
    """Raises InputError where a root would go that stands better than all that the product has beside it."""
    without = _without(product, root)
    left = {name for route in (phases_of(product)[without[-1]] if without else product.routes) for name in route.roots} - {root}
    if root not in product.roots or not left:
        return
    best = max(left, key=lambda name: STANDINGS.index(product.roots[name].standing))
    if STANDINGS.index(product.roots[best].standing) < STANDINGS.index(product.roots[root].standing):
        raise InputError(
            "better-root",
            f"{product.source}: {root} is {product.roots[root].standing}, and what would be left, {best}, is "
            f"{product.roots[best].standing}: a fleet leaves the worse root, not the better one.",
            f"Retire {best} instead, or give the product another route first.",
        )


def apply(product: Product, edit: Edit, newest: int = 0) -> int | None:
    """Write it, with a version that nobody has (`newest`: the highest that is known of the fleet), when the file that it makes is a product
    without the root. Returns that version, None where the root is retired already. Raises InputError, and then nothing is written."""
    if edit.root in product.retired:
        return None
    version = max(product.version, newest) + 1
    changes: dict[yaml_edit.Path_, str] = {("version",): str(version)}  # devices take no other set of the same version
    if edit.phase:
        changes["cloud", "phase"] = edit.phase
    more: dict[yaml_edit.Path_, str] = {("cloud", "retired"): edit.root}
    made = load_product(product.source, yaml_edit.changed(product.source, changes, more).decode())
    if any(edit.root in route.roots for route in made.routes):
        _by_hand(product, edit.root)
    yaml_edit.change_file(product.source, changes, None, more)
    return version


def gone(file: Path | None) -> dict[str, int]:
    """Device that is out of service -> its line; one a line. Raises InputError."""
    if file is None:
        return {}
    lines = enumerate(read_text(file).splitlines(), 1)
    return {line.strip(): number for number, line in lines if line.strip()}


def check_gone(file: Path, named: Mapping[str, int], devices: Iterable[Device], since: int, sure: bool) -> None:
    """Raises InputError for a name that no device has, and, unless somebody is `sure`, for a device that was seen after `since` (unix
    seconds): who is out of service is not seen."""
    unknown = dict(named)
    alive: Device | None = None
    count = 0
    for device in devices:
        if unknown.pop(device.device, None) is not None and (device.seen or 0) > since:
            count += 1
            alive = alive or device
    if unknown:
        name, number = next(iter(unknown.items()))
        raise InputError(
            "not-in-fleet",
            f"{shown(file)}:{number}: nothing is known of a device {name[:60]!r}.",
            "Correct it, or take the line out.",
        )
    if alive is not None and not sure:
        seen = datetime.fromtimestamp(alive.seen or 0, timezone.utc).strftime("%Y-%m-%d %H:%M")
        more = f", and {count - 1} more were" if count > 1 else ""
        raise InputError(
            "gone-was-seen",
            f"{shown(file)}:{named[alive.device]}: {alive.device} was seen at {seen} UTC{more}: it may be in service, and would be lost.",
            "Take it out of the file; where you know that it is out of service since, add --yes.",
        )
