"""The way from one root to the other in four phases, each a product file that can be taken back.

    legacy-only -> legacy-first -> ats-first -> ats-only

What a device does when an endpoint or a root disappears is not told from memory: the device's own policy.py and fallback.py are run
through it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from provisioning.config.product import Product
from provisioning.errors import InputError
from provisioning.trust.device_code import device_module
from provisioning.trust.endpoint import classify
from provisioning.trust.probe.verdict import error_class
from provisioning.trust.roots import STANDINGS, Root, load_roots
from provisioning.trust.routes import PHASES, Route, derive

ORDER = tuple(PHASES)

# What to do, and what to have seen, before a phase is entered. (phase entered from the one before it, from the one after it)
BEFORE = {
    "legacy-only": ("", "Only if no device may carry the ATS roots: the fleet is then bound to a root that nobody else trusts."),
    "legacy-first": (
        "Ask AWS for the ATS endpoint, which creates it: twinroot aws endpoint. Probe it: twinroot trust probe.",
        "Nothing: devices of ats-first carry both routes already.",
    ),
    "ats-first": (
        "A device of each kind has connected by the ATS route once: twinroot trust probe PRODUCT, then one real board.",
        "The legacy endpoint still answers, and its chain still ends in its root: twinroot trust probe.",
    ),
    "ats-only": ("Health of the whole fleet shows connections by ATS roots and none by the legacy root: twinroot migrate status.", ""),
}

# What may happen to a route: (what, kind of the device's error then).
_EVENTS = (
    ("its chain no longer ends in a root of the route", "trust"),
    ("its endpoint no longer answers", "network"),
)


@dataclass(frozen=True)
class Consequence:
    """What becomes of a device when something happens to a route. `route`: by which it then connects; None: it is offline with `error`."""

    event: str
    route: str | None
    error: str | None
    after: int = 0  # s of silence before it does

    def __str__(self) -> str:
        if self.route:
            return f"{self.event}: the device connects by {self.route}" + (f", after {self.after} s of silence" if self.after else "")
        return f"{self.event}: the device is offline ({self.error}) until that is repaired or the product is changed"


@dataclass(frozen=True)
class Change:
    """From one phase to another, on a device."""

    source: str
    target: str
    routes: tuple[str, ...]  # names, in order of preference
    roots_added: tuple[str, ...]
    roots_removed: tuple[str, ...]
    root_bytes: int  # PEM of the added roots: what goes over the wire beside set.json
    before: str


def phase_of(routes: Sequence[Route]) -> str | None:
    """The phase whose routes these are, None for routes of another make (a lab's, several endpoints of a kind)."""
    classes = tuple(classify(r.host).cls for r in routes)
    return next((phase for phase, wanted in PHASES.items() if wanted == classes), None)


def possible(endpoint: str) -> tuple[str, ...]:
    """The phases that exist for an endpoint: a region with ATS endpoints only has one. Raises InputError for an endpoint without pair."""
    found = classify(endpoint)
    if found.cls not in ("ats", "legacy"):
        raise InputError(
            "no-phases",
            f"{endpoint} is no data endpoint of AWS IoT: it has no phases.",
            "Routes of your own are changed by hand, in `routes:`.",
        )
    return ORDER if found.pair else ("ats-only",)


def neighbour(endpoint: str, phase: str, step: int) -> str:
    """The next phase (`step` 1) or the former (-1). Raises InputError at either end."""
    there = possible(endpoint)
    if phase not in there:
        raise InputError("bad-phase", f"{phase} is not possible with {endpoint}.", f"Possible: {', '.join(there)}.")
    index = there.index(phase) + step
    if not 0 <= index < len(there):
        end = "last" if step > 0 else "first"
        raise InputError("no-such-phase", f"{phase} is the {end} phase of {endpoint}.", f"The phases are {', '.join(there)}.")
    return there[index]


def refuse_retired(product: Product, phase: str, routes: Sequence[Route]) -> None:
    """Raises InputError where `routes`, those of `phase`, have roots that the product has retired."""
    names = [name for name in dict.fromkeys(name for route in routes for name in route.roots) if name in product.retired]
    if names:
        raise InputError(
            "retired-root-used",
            f"{product.source} stays as it is: {phase} connects by {', '.join(names)} as well, which `cloud.retired` names.",
            "For a way back, take it out of `cloud.retired` and raise `version` first: devices take no older set that has a retired root.",
        )


def change(old: Sequence[Route], new: Sequence[Route], source: str, target: str, roots: Mapping[str, Root]) -> Change:
    """What going from one phase to the other changes on a device. `old`, `new`: the routes of the two; `roots`: theirs."""
    had = list(dict.fromkeys(name for r in old for name in r.roots))
    has = list(dict.fromkeys(name for r in new for name in r.roots))
    added = tuple(n for n in has if n not in had)
    forward = ORDER.index(target) > ORDER.index(source)
    return Change(
        source=source,
        target=target,
        routes=tuple(r.name for r in new),
        roots_added=added,
        roots_removed=tuple(n for n in had if n not in has),
        root_bytes=sum(len(roots[n].pem) for n in added),
        before=BEFORE[target][0 if forward else 1],
    )


def consequences(
    routes: Sequence[Route], roots: Mapping[str, Root], on_silence: str = "upward", return_after: int | None = None
) -> list[Consequence]:
    """For each route and event: what the device's own policy makes of it. `roots`: those of the routes; `on_silence`, `return_after`: the
    product's."""
    standing = bytes(min(STANDINGS.index(roots[name].standing) for name in route.roots) for route in routes)
    found = []
    for index, route in enumerate(routes):
        for event, kind in _EVENTS:
            reached_, after = reached(standing, on_silence, 0, {index: kind}, return_after)
            found.append(
                Consequence(
                    f"route {route.name}: {event}",
                    routes[reached_].name if reached_ is not None else None,
                    None if reached_ is not None else error_class(kind)[0],
                    after,
                )
            )
    return found


def reached(
    standing: bytes, on_silence: str, last: int, broken: Mapping[int, str], return_after: int | None = None
) -> tuple[int | None, int]:
    """The route by which a device connects that connected by `last` before, when those in `broken` (number -> kind of the error) fail, None
    when by none; and seconds until then. `return_after`: seconds, the product's; None: the device's default."""
    fallback, code = device_module("fallback"), device_module("policy")
    back = return_after or code.RETURN_S
    policy = code.Policy(len(standing), last=last, ret=back, standing=standing, silence=on_silence)
    # On another route than the preferred one, that gets its chance again after a time.
    for now in sorted({0, fallback.QUIET_S, *((back,) if last else ())}):
        route: int = policy.begin(now)
        while route in broken:
            route = fallback.failed(policy, broken[route])
        if route >= 0:
            return route, now
    return None, 0


@dataclass(frozen=True)
class Position:
    """Where a product stands on the way: what its phase derives the routes from."""

    endpoint: str
    port: int
    phase: str
    on_silence: str
    return_after: int | None = None
    bench: Mapping[str, tuple[Root, ...]] = field(default_factory=dict)  # class of an endpoint -> the roots that it has on a bench

    def routes(self, phase: str) -> tuple[Route, ...]:
        """Those of a phase."""
        names = {cls: tuple(root.name for root in roots) for cls, roots in self.bench.items()}
        return derive(self.endpoint, self.port, phase, bench=names)

    def plan(self) -> Plan:
        """The whole way from every phase to its neighbours, and what breaks in each."""
        roots = {**load_roots(), **{root.name: root for several in self.bench.values() for root in several}}
        there = possible(self.endpoint)
        pairs = list(itertools.pairwise(there))
        return Plan(
            there,
            [change(self.routes(a), self.routes(b), a, b, roots) for a, b in pairs],
            [change(self.routes(b), self.routes(a), b, a, roots) for a, b in pairs],
            {p: [str(c) for c in consequences(self.routes(p), roots, self.on_silence, self.return_after)] for p in there},
        )


@dataclass(frozen=True)
class Plan:
    """`steps` to the next phase each, `back` to the former one, `breaks`: phase -> consequences."""

    phases: tuple[str, ...]
    steps: list[Change]
    back: list[Change]
    breaks: dict[str, list[str]]


def has_phases(product: Product) -> bool:
    """Whether it connects to AWS's endpoints of a pair, which phases are of; a broker of one's own and other providers have none."""
    return any(classify(route.host).cls in ("ats", "legacy") for route in product.routes)


def why_none(product: Product) -> str:
    """For a product without a phase."""
    return "none: its routes are written by hand" if has_phases(product) else f"none: {product.routes[0].host} has none"


def position(product: Product) -> Position:
    """Raises InputError when the product's routes are written by hand, or its endpoints have no phases."""
    phase = phase_of(product.routes)
    document, first = product.document, product.routes[0]
    if not has_phases(product):
        raise InputError(
            "no-phases",
            f"{product.source}: {first.host} has no phases, which are those of AWS's two kinds of endpoint.",
            f"`twinroot migrate retire ROOT {product.source}` leaves one of its roots, when every device has connected by another; "
            "docs/providers.md.",
        )
    if ("cloud", "endpoint") not in document.values or ("cloud", "routes", 0) in document.values or phase is None:
        raise InputError(
            "routes-by-hand",
            f"{product.source}: its routes are written by hand, so no phase derives them.",
            f"Replace `routes:` by `endpoint: {first.host}`" + (f" and `phase: {phase}`." if phase else "."),
        )
    return Position(first.host, first.port, phase, product.on_silence, product.return_after, product.lab_roots)
