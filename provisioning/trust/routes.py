"""A route is an endpoint and the roots that may anchor it.

VeriSign's root can never validate an -ats host, and an ATS root can never validate a VeriSign host: failover between roots is
failover between routes. What contradicts that is refused here, ahead of the first write. Roots that are not in certs/ (a lab's
own) are allowed anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.errors import InputError
from provisioning.trust.endpoint import ATS_ROOTS, LEGACY_ROOTS, Endpoint, classify

# What a device carries for an ATS host unless the product says otherwise: the roots AWS's chains end in today, RSA and ECC. A device tries
# one root at a time, so each further one costs a handshake when the chain is not to be trusted.
DEVICE_ATS_ROOTS = ("AmazonRootCA1", "AmazonRootCA3")

# Phase of a migration -> classes of its routes, in the order in which a device prefers them.
PHASES = {
    "legacy-only": ("legacy",),
    "legacy-first": ("legacy", "ats"),
    "ats-first": ("ats", "legacy"),
    "ats-only": ("ats",),
}


class WrongRoots(InputError):
    """The roots of a route, not its endpoint, are what cannot work."""


@dataclass(frozen=True)
class Route:
    """Where to connect, and what may vouch for it."""

    name: str
    host: str
    port: int
    roots: tuple[str, ...]


def derive(endpoint: str, port: int = 8883, phase: str | None = None) -> tuple[Route, ...]:
    """The routes of an endpoint in order of preference: itself, then the other of its pair where there is one; `phase` chooses otherwise.

    An endpoint that is given comes first: AWS creates an ATS endpoint only when it is asked for, so its mere name proves nothing.
    Raises InputError: not an endpoint, a custom domain (its roots cannot be derived), a legacy endpoint in a region that has only ATS.
    """
    found = classify(endpoint)
    _refuse_invalid(found)
    if found.cls == "custom":
        raise WrongRoots(
            "roots-unknown",
            f"The roots of {found.host} cannot be derived: it is not an endpoint of AWS IoT.",
            "Name them: routes: [{name: main, endpoint: " + found.host + ", roots: […]}], each root in certs/ or pinned under roots:.",
        )
    _refuse_legacy_where_none_is(found)
    if found.cls not in ("ats", "legacy"):
        return (Route(found.cls, found.host, port, DEVICE_ATS_ROOTS),)
    hosts = {found.cls: found.host}
    if found.pair:
        hosts["legacy" if found.cls == "ats" else "ats"] = found.pair
    wanted = tuple(hosts) if phase is None else _classes_of(phase, found, hosts)
    return tuple(Route(cls, hosts[cls], port, LEGACY_ROOTS if cls == "legacy" else DEVICE_ATS_ROOTS) for cls in wanted)


def check(route: Route) -> None:
    """Raises InputError when the route cannot work: a root that cannot anchor the host, no root, no endpoint, no such port."""
    found = classify(route.host)
    _refuse_invalid(found)
    _refuse_legacy_where_none_is(found)
    if not 1 <= route.port <= 65535:
        raise InputError("bad-port", f"Route {route.name}: {route.port} is not a port.", "MQTT over TLS is on 8883.")
    if not route.roots:
        raise WrongRoots(
            "no-roots",
            f"Route {route.name} to {route.host} names no root, and a device never connects without verification.",
            f"Name one of: {', '.join(found.roots)}." if found.roots else "Name the root that its owner's certificates chain to.",
        )
    if not found.is_aws:
        return
    for root in route.roots:
        if root in (*ATS_ROOTS, *LEGACY_ROOTS) and root not in found.roots:
            raise WrongRoots(
                "root-cannot-anchor",
                f"Route {route.name}: {root} can never validate {route.host}, which is {_ARTICLE.get(found.cls, found.cls)} endpoint.",
                f"Roots that can: {', '.join(found.roots)}." + (f" {root} belongs to {found.pair}." if found.pair else ""),
            )


_ARTICLE = {"ats": "an ATS", "legacy": "a VeriSign", "credentials": "a credential-provider", "jobs": "a jobs", "fips": "a FIPS"}


def _refuse_invalid(found: Endpoint) -> None:
    if found.cls == "invalid":
        raise InputError(
            "bad-endpoint",
            f"{found.host!r} is not an endpoint: {found.notes[0]}.",
            "An endpoint looks like a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com; `twinroot aws endpoint` asks for yours.",
        )


def _refuse_legacy_where_none_is(found: Endpoint) -> None:
    if found.cls == "legacy" and not found.roots:
        raise InputError(
            "ats-only-region",
            f"{found.host} is a legacy endpoint, and the region {found.region} has ATS endpoints only.",
            "Use the ATS endpoint: " + found.host.replace(".iot.", "-ats.iot.", 1) + ".",
        )


def _classes_of(phase: str, found: Endpoint, hosts: dict[str, str]) -> tuple[str, ...]:
    classes = PHASES.get(phase)
    if classes is None:
        raise InputError("bad-phase", f"{phase!r} is not a phase of a migration.", f"The phases are {', '.join(PHASES)}.")
    for cls in classes:
        if cls not in hosts:
            raise InputError(
                "ats-only-region",
                f"Phase {phase} needs a {cls} endpoint, and {found.host} has none beside it: {found.region} has ATS endpoints only.",
                "Write phase: ats-only.",
            )
    return classes
