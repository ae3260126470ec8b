"""What a set has: its routes with their roots, how those stand, what silence may open. A device reports the version of its set; what it
trusts follows from the product files and the ledger's rows that had that version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from provisioning.fleet.device import Device
from provisioning.fleet.places import Places
from provisioning.migration.phases import phase_of
from provisioning.trust.endpoint import classify
from provisioning.trust.roots import STANDINGS, load_roots
from provisioning.trust.routes import Route

if TYPE_CHECKING:
    from provisioning.config.product import Product

_CURRENT = STANDINGS.index("current")
UPWARD = "upward"  # what a set does about silence that says nothing of it
UNSAID = ""  # by a row of the ledger, which has no word about silence and about the time of return


@dataclass(frozen=True)
class Configuration:
    """`standing`: of each route, an index in STANDINGS; `silence`: which routes the silence of one opens; `back`: s until the preferred
    route is tried again, None: the device's default."""

    version: int
    routes: tuple[Route, ...]
    standing: tuple[int, ...]
    silence: str
    back: int | None = None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the routes, in order of preference."""
        return tuple(route.name for route in self.routes)

    @cached_property
    def trusts(self) -> tuple[str, ...]:
        """Names of the roots."""
        return tuple(dict.fromkeys(root for route in self.routes for root in route.roots))

    @cached_property
    def phase(self) -> str | None:
        """Of the migration; None for routes of another make."""
        return phase_of(self.routes)

    @cached_property
    def body(self) -> str:
        """As the store has it."""
        routes = [[route.name, route.host, route.port, list(route.roots), standing] for route, standing in zip(self.routes, self.standing)]  # noqa: B905
        body = {"version": self.version, "routes": routes, "silence": self.silence, **({"back": self.back} if self.back else {})}
        return json.dumps(body, separators=(",", ":"), sort_keys=True)

    @property
    def sha256(self) -> str:
        """Of the body."""
        return hashlib.sha256(self.body.encode()).hexdigest()


def of_body(body: str) -> Configuration:
    """The configuration that the store has."""
    data = json.loads(body)
    routes = tuple(Route(name, host, port, tuple(roots)) for name, host, port, roots, _ in data["routes"])
    return Configuration(data["version"], routes, tuple(row[4] for row in data["routes"]), data["silence"], data.get("back"))


def of_product(product: Product) -> Configuration:
    """What a board gets of this file."""
    return Configuration(
        product.version, product.routes, tuple(map(product.standing, product.routes)), product.on_silence, product.return_after
    )


def of_row(fields: Mapping[str, Any]) -> Configuration | None:
    """What the ledger's row of an attempt says: version, endpoints in order, roots. None where it is too little to tell which root
    anchors which of several endpoints."""
    version, endpoints, roots = fields.get("version"), fields.get("endpoints"), fields.get("roots")
    if type(version) is not int or not isinstance(endpoints, list) or not isinstance(roots, dict) or not endpoints:
        return None
    known = load_roots()
    routes = []
    for text in map(str, endpoints):
        host, _, port = text.rpartition(":")
        found = classify(host)
        anchors = tuple(name for name in roots if name in found.roots)
        if not anchors and len(endpoints) == 1:
            anchors = tuple(roots)
        if not anchors or not port.isdecimal():
            return None
        routes.append(Route("main" if found.cls == "custom" else found.cls, host, int(port), anchors))
    standing = tuple(min(STANDINGS.index(known[name].standing) if name in known else _CURRENT for name in route.roots) for route in routes)
    return Configuration(version, tuple(routes), standing, UNSAID)


class KnownSets:
    """The sets that are known of a product, and which of them a device has."""

    def __init__(self, configurations: Iterable[Configuration]) -> None:
        self._all = list(dict.fromkeys(configurations))
        self.places = Places(self._all)
        self._found: dict[tuple[object, ...], Configuration | None] = {}

    def __iter__(self) -> Any:
        return iter(self._all)

    def of(self, device: Device) -> Configuration | None:
        """The set of `device`, by its version, routes and roots and by what it connected with last, as far as they are known; None where no
        set fits, or sets that differ."""
        key = (device.version, device.routes, device.trusts, device.route, device.root)
        if key not in self._found:
            self._found[key] = self._look(device)
        return self._found[key]

    def _look(self, device: Device) -> Configuration | None:
        if device.version is None:
            return None
        fit = [
            one
            for one in self._all
            if one.version == device.version
            and (not device.routes or one.names == device.routes)
            and (not device.trusts or set(one.trusts) == set(device.trusts))
            and (device.route is None or device.route in one.names)
            and (device.root is None or device.root in one.trusts)
        ]
        # Of the same set, a product's file says more than a row of the ledger.
        whole = {(one.routes, one.standing) for one in fit if one.silence != UNSAID}
        fit = [one for one in fit if one.silence != UNSAID or (one.routes, one.standing) not in whole]
        return fit[0] if len({replace(one, version=0) for one in fit}) == 1 else None
