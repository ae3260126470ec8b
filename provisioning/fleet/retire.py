"""Leaving a root for good: who needs it still, and the edits of the product file when nobody does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from provisioning.config.load import load_product
from provisioning.errors import BoardError, InputError
from provisioning.fleet import breaks
from provisioning.fleet.breaks import Event
from provisioning.fleet.figures import Figures, phases_of
from provisioning.migration import yaml_edit

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
    without = [phase for phase, routes in phases_of(product).items() if all(root not in route.roots for route in routes)]
    document = product.document
    derived = ("cloud", "endpoint") in document.values and ("cloud", "routes", 0) not in document.values
    if not without or not derived:
        return Edit(root, None) if derived else _by_hand(product, root)
    return Edit(root, without[-1])


def _by_hand(product: Product, root: str) -> Edit:
    names = ", ".join(route.name for route in product.routes if root in route.roots)
    raise InputError(
        "routes-by-hand",
        f"{product.source}: {root} is a root of the route {names}, which is written by hand.",
        f"Take it out of `routes:`, raise `version`, and run this again: it sees that nobody needs it, and writes `retired: [{root}]`.",
    )


def apply(product: Product, edit: Edit) -> bool:
    """Write it, when the file that it makes is a product without the root; False where it is one already. Raises InputError, and then
    nothing is written."""
    if edit.root in product.retired:
        return False
    changes: dict[yaml_edit.Path_, str] = {("version",): str(product.version + 1)}  # devices take no other set of the same version
    if edit.phase:
        changes["cloud", "phase"] = edit.phase
    more: dict[yaml_edit.Path_, str] = {("cloud", "retired"): edit.root}
    trial = product.source.with_name(f".{product.source.name}.trial.yaml")
    try:
        yaml_edit.change_file(product.source, changes, trial, more)
        made = load_product(trial)
    finally:
        trial.unlink(missing_ok=True)
    if any(edit.root in route.roots for route in made.routes):
        _by_hand(product, edit.root)
    return yaml_edit.change_file(product.source, changes, None, more)


def gone(file: Path | None) -> frozenset[str]:
    """Names of devices that are out of service, one a line. Raises InputError."""
    if file is None:
        return frozenset()
    try:
        return frozenset(line.strip() for line in file.read_text("utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("file-unreadable", f"{file} cannot be read: {error}.", "Give a text with one device a line.") from None
