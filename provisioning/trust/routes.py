"""A route is an endpoint and the roots that may anchor it.

VeriSign's root can never validate an -ats host, and an ATS root can never validate a VeriSign host: failover between roots is
failover between routes. What contradicts that is refused here, ahead of the first write. Roots that are not in certs/ (a lab's
own) are allowed anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from provisioning.errors import InputError
from provisioning.trust.endpoint import classify, provider_of
from provisioning.trust.providers import PROVIDERS, Endpoint

# Phase of a migration -> classes of its routes, in the order in which a device prefers them.
PHASES = {
    "legacy-only": ("legacy",),
    "legacy-first": ("legacy", "ats"),
    "ats-first": ("ats", "legacy"),
    "ats-only": ("ats",),
}


# Roots whose hosts are known: none of them can anchor another provider's, or another class of endpoints.
_ROOTS_OF_PROVIDERS = frozenset(root for provider in PROVIDERS.values() for root in provider.roots)


class WrongRoots(InputError):
    """The roots of a route, not its endpoint, are what cannot work."""


@dataclass(frozen=True)
class Route:
    """Where to connect, and what may vouch for it."""

    name: str
    host: str
    port: int
    roots: tuple[str, ...]


def derive(
    endpoint: str,
    port: int = 8883,
    phase: str | None = None,
    provider: str | None = None,
    pinned: tuple[str, ...] = (),
    bench: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> tuple[Route, ...]:
    """The routes of an endpoint in order of preference: itself, then the other of its pair where there is one; `phase` chooses otherwise.
    `provider`: as the product names it; `pinned`: roots of the product's own, which anchor a host of a provider without names of its own;
    `bench`: class of an endpoint -> the roots that it has on a bench, instead of the provider's.

    An endpoint that is given comes first: AWS creates an ATS endpoint only when it is asked for, so its mere name proves nothing.
    Raises InputError: not an endpoint, a custom domain (its roots cannot be derived), a legacy endpoint in a region that has only ATS.
    """
    found = classify(endpoint)
    _refuse_invalid(found, provider)
    _refuse_other_provider(found, provider)
    if phase is not None and found.cls not in ("ats", "legacy"):
        raise InputError(
            "bad-phase",
            f"{found.host} has no phases: it is one endpoint, not one of AWS's pairs.",
            "Leave `phase` out; `twinroot migrate retire ROOT PRODUCT` leaves one of its roots.",
        )
    if found.cls == "custom" and provider and pinned:
        return (Route("main", found.host, port, pinned),)
    _refuse_legacy_where_none_is(found)
    if not found.device_roots:
        raise WrongRoots(
            "roots-unknown",
            f"The roots of {found.host} cannot be derived: "
            + (f"{found.notes[0]}." if found.provider else "it is not an endpoint of a provider whose roots are known."),
            "Name them: routes: [{name: main, endpoint: " + found.host + ", roots: […]}], each root in certs/ or pinned under roots:.",
        )
    if found.cls not in ("ats", "legacy"):
        return (Route(found.cls, found.host, port, found.device_roots),)
    hosts = {found.cls: found.host}
    if found.pair:
        hosts["legacy" if found.cls == "ats" else "ats"] = found.pair
    wanted = tuple(hosts) if phase is None else _classes_of(phase, found, hosts)
    return tuple(Route(cls, hosts[cls], port, bench.get(cls) or classify(hosts[cls]).device_roots) for cls in wanted)


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
    provider = provider_of(found)
    if provider is None or not found.roots:
        return
    for root in route.roots:
        if root not in found.roots and root in _ROOTS_OF_PROVIDERS:
            raise WrongRoots(
                "root-cannot-anchor",
                f"Route {route.name}: {root} can never validate {route.host}, which is {provider.classes[found.cls]} endpoint.",
                f"Roots that can: {', '.join(found.roots)}." + (f" {root} belongs to {found.pair}." if found.pair else ""),
            )


def _refuse_other_provider(found: Endpoint, named: str | None) -> None:
    if named is None or found.provider == named or (found.provider is None and PROVIDERS[named].any_host):
        return
    whose = provider_of(found)
    what = f"an endpoint of {whose.title}" if whose else f"not an endpoint of {PROVIDERS[named].title}"
    raise InputError(
        "other-provider",
        f"{found.host} is {what}, and `provider` says {named}.",
        "Correct the one that is wrong; without `provider` the host name decides.",
    )


def _refuse_invalid(found: Endpoint, provider: str | None = None) -> None:
    if found.cls == "invalid":
        of_ones_own = provider is not None and PROVIDERS[provider].any_host
        raise InputError(
            "bad-endpoint",
            f"{found.host!r} is not an endpoint: {found.notes[0]}.",
            "Give the broker a host name in your network's DNS, the one that its certificate is for: devices verify it."
            if of_ones_own
            else "An endpoint looks like a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com; `twinroot aws endpoint` asks for yours.",
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
