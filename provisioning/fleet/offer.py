"""The two signed sets of a plan: what a fleet gets, and the way back, checked against each other and against the product files before
anything is offered to a device."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from provisioning.config.document import Loc, shown
from provisioning.config.load import load_product
from provisioning.config.product import Product
from provisioning.errors import FileMissing, InputError
from provisioning.fleet.plan import BACK, CABLE, FORWARD, Plan
from provisioning.fleet.plan_rows import PlanEdited
from provisioning.ota import job_document

_SIGN = "Render it and sign it: `twinroot render`, `twinroot sign set`; docs/fleet.md shows both."
_ANOTHER = "Put back what the plan was taken on with; or end it with `twinroot migrate end` and make another one."


@dataclass(frozen=True)
class SignedSet:
    """`manifest`: docs/device.md; None for a plan that only goes by cable and needs no signed set."""

    container: bytes = field(repr=False)
    sha256: str
    manifest: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Offer:
    """What devices get in each direction: product files, loaded, and the signed sets; of a plan whose waves all go by cable there are
    none. `leaves`: whether there is a root by which the phase now connects, and the one that is wanted does not, or that it names as
    retired; `signed`: whether the phase now takes signed sets; `now`: its product, which matters until the plan is taken on."""

    wanted: Product
    back: Product
    leaves: bool
    signed: bool
    sets: Mapping[str, SignedSet]
    now: Product | None = None

    def product(self, direction: str) -> Product:
        """What a device has afterwards."""
        return self.wanted if direction == FORWARD else self.back

    def version(self, direction: str) -> int:
        """Of the set that a device then has."""
        return self.product(direction).version

    @property
    def roots(self) -> frozenset[str]:
        """Roots by which the phase that is wanted connects."""
        return frozenset(_roots(self.wanted))


@dataclass(frozen=True)
class Terms:
    """What was written down of an offer when its plan was taken on. `sets`: direction -> SHA-256; `versions`: direction -> version."""

    sets: Mapping[str, str]
    versions: Mapping[str, int]
    leaves: bool
    signed: bool


def of_products(now: Product, wanted: Product, back: Product) -> Offer:
    """Without signed sets."""
    leaves = bool(frozenset(_roots(now)) - frozenset(_roots(wanted)) or wanted.retired)
    return Offer(wanted, back, leaves, now.vendor is not None, {}, now)


def load_products(plan: Plan) -> Offer:
    """What `plan` offers, without its signed sets: they may not be made yet. Raises InputError, with file and line, for what does not
    belong together."""
    now, wanted, back = (_product(plan, name) for name in ("now", "wanted", "back"))
    for name, product in (("now", now), ("wanted", wanted), ("back", back)):
        if product.name != plan.product:
            found = f"{shown(product.source)} is the product {product.name}, not {plan.product}"
            raise plan.document.error(("products", name), "plan-product", found, "Correct one.")
    for name, product, least in (("wanted", wanted, now), ("back", back, wanted)):
        if product.version <= least.version:
            found = f"{shown(product.source)} has version {product.version}, expected more than {least.version}: devices take no older set"
            hint = f"Write `version: {least.version + 1}` or more into it."
            raise plan.document.error(("products", name), "plan-version", found, hint)
    if [_route(route) for route in back.routes] != [_route(route) for route in now.routes]:
        found = f"{shown(back.source)} has other routes than {shown(now.source)}: it is not the way back"
        raise plan.document.error(("products", "back"), "plan-back", found, "It is the product of the phase now with a higher version.")
    _nothing_needed_retired(plan, wanted.retired.values(), wanted, back)
    return of_products(now, wanted, back)


def load(plan: Plan, clock: Callable[[], float] = time.time) -> Offer:
    """What `plan` offers; its signed sets are needed where a wave goes by jobs. Raises InputError as `load_products`, and for a set that
    is not the one of its product file."""
    made = load_products(plan)
    if all(wave.by == CABLE for wave in plan.waves):
        return made
    sets = {way: _signed(plan, way, made.product(way), clock()) for way in (FORWARD, BACK)}
    forward, backward = sets[FORWARD].manifest, sets[BACK].manifest
    if backward["expires"] < forward["expires"]:
        found = (
            f"{shown(plan.sets[BACK].file)} is refused by devices earlier than {shown(plan.sets[FORWARD].file)}: who takes the one on "
            "its last day cannot go back"
        )
        raise _wrong(plan, ("sets", BACK), found, "Sign it again, with as many --days.")
    for way, made_set in sets.items():
        _fits(plan, way, made_set.container)
    _nothing_needed_retired(plan, forward["set"].get("retired", ()), made.wanted, made.back)
    return replace(made, sets=sets)


def load_taken(plan: Plan, terms: Terms, uses: Sequence[str], clock: Callable[[], float] = time.time) -> Offer:
    """What a plan offers that was taken on with `terms`: those hold, whatever became of the product file of the phase now. Of its sets
    those of the directions in `uses` are looked at where they are there, and each is read when it is offered. Raises InputError."""
    wanted, back = _product(plan, "wanted"), _product(plan, "back")
    for way, product in ((FORWARD, wanted), (BACK, back)):
        if (product.name, product.version) != (plan.product, terms.versions[way]):
            found = f"{shown(product.source)} is version {product.version} of {product.name}"
            raise PlanEdited(
                "plan-edited", f"{found}; the plan {plan.name} was taken on with version {terms.versions[way]} of {plan.product}.", _ANOTHER
            )
    sets = _TakenSets(plan, {FORWARD: wanted, BACK: back}, terms.sets, clock)
    for way in uses:
        if way in terms.sets and plan.sets[way].file.exists():
            sets.check(way)
    return Offer(wanted, back, terms.leaves, terms.signed, sets)


class _TakenSets(Mapping[str, SignedSet]):
    """Signed sets of a plan that was taken on, read when they are needed: a plan is ended, and followed, without them."""

    def __init__(self, plan: Plan, products: Mapping[str, Product], sha256: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._plan, self._products, self._sha256, self._clock = plan, products, sha256, clock

    def check(self, way: str) -> None:
        """Raises PlanEdited for another file."""
        file = self._plan.sets[way].file
        try:
            content = file.read_bytes()
        except OSError as error:
            raise self._plan.document.error(
                ("sets", way, "file"), "plan-set", f"{shown(file)} cannot be read ({error.strerror})", _ANOTHER
            ) from None
        if hashlib.sha256(content).hexdigest() != self._sha256[way]:
            name = self._plan.name
            raise PlanEdited("plan-edited", f"{shown(file)} is not the signed set with which the plan {name} was taken on.", _ANOTHER)

    def __getitem__(self, way: str) -> SignedSet:
        if way not in self._sha256:
            raise KeyError(way)
        self.check(way)
        return _signed(self._plan, way, self._products[way], self._clock(), _ANOTHER)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sha256)

    def __len__(self) -> int:
        return len(self._sha256)


def _product(plan: Plan, name: str) -> Product:
    path: Path = getattr(plan, name)
    try:
        return load_product(path)
    except FileMissing as error:
        if error.file != path:
            raise
        raise plan.document.placed(error, ("products", name)) from None


def _roots(product: Product) -> list[str]:
    return [name for route in product.routes for name in route.roots]


def _route(route: Any) -> tuple[str, str, int, tuple[str, ...]]:
    return route.name, route.host, route.port, tuple(route.roots)


def _nothing_needed_retired(plan: Plan, retired: Any, wanted: Product, back: Product) -> None:
    gone = {root.sha256 for root in back.roots.values()} & set(retired)
    for name, root in back.roots.items():
        if root.sha256 in gone:
            raise plan.document.error(
                ("products", "wanted"),
                "plan-retires",
                f"{shown(wanted.source)} retires {name}, by which {shown(back.source)} connects: nobody could go back",
                "Retire it in a later plan, when this one has passed.",
            )


def _signed(plan: Plan, way: str, product: Product, now: float, hint: str = _SIGN) -> SignedSet:
    pinned, loc = plan.sets[way], ("sets", way)
    try:
        container = pinned.file.read_bytes()
    except OSError as error:
        problem = f"{shown(pinned.file)} cannot be read ({error.strerror})"
        raise plan.document.error((*loc, "file"), "plan-set", problem, hint) from None
    try:
        manifest = job_document.manifest_of(container)
    except InputError as error:
        raise plan.document.placed(error, (*loc, "file"), hint) from None
    sha256 = hashlib.sha256(container).hexdigest()
    if pinned.sha256 not in (None, sha256):
        raise _wrong(plan, (*loc, "sha256"), f"{shown(pinned.file)} has the SHA-256 {sha256}", "It is not the file that was reviewed.")
    name = shown(pinned.file)
    if (manifest.get("product"), manifest["version"]) != (product.name, product.version):
        has = f"{name} is version {manifest['version']} of {manifest.get('product')}"
        raise _wrong(plan, (*loc, "file"), f"{has}, and {shown(product.source)} version {product.version} of {product.name}", hint)
    if manifest.get("device") is not None:
        raise _wrong(plan, (*loc, "file"), f"{name} is for the device {manifest['device']} alone", "Sign it without --device.")
    if int(manifest["expires"]) <= now:
        raise _wrong(plan, (*loc, "file"), f"{name} has expired: devices refuse it", hint)
    routes = [(each["name"], each["host"], each["port"], tuple(each["roots"])) for each in manifest["set"].get("routes", ())]
    if routes != [_route(route) for route in product.routes]:
        raise _wrong(plan, (*loc, "file"), f"{name} has other routes than {shown(product.source)}", hint)
    return SignedSet(container, sha256, manifest)


def _fits(plan: Plan, way: str, container: bytes) -> None:
    """Raises InputError for a set that a job cannot hold, in a plan that names no other way to devices."""
    try:
        job_document.document(container, None if plan.jobs.stream else plan.jobs.topic)
    except job_document.TooLarge as error:
        if not plan.jobs.stream:
            hint = "Write `stream: {bucket: …, role: …}` or `topic: …` under `jobs:`."
            raise plan.document.error(("sets", way, "file"), "plan-set", error.message, hint) from None
    except InputError as error:
        raise plan.document.placed(error, ("jobs", "topic")) from None


def _wrong(plan: Plan, loc: Loc, problem: str, hint: str) -> InputError:
    return plan.document.error(loc, "plan-set", problem, hint)
