"""What a device would do: one pass of twinroot.connect() over its routes, and the error it would raise.

The rules are the device's (firmware/twinroot: fallback.py, classify.py) in its first pass: only trust evidence that a second handshake
confirms leads to the next route; anything else on the first ends the pass. (Silence opens routes of better standing a minute later:
`twinroot migrate plan`.) A comparison with the real MicroPython is in tests/trust/test_verdict.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from provisioning.pem.tlv import DerError
from provisioning.trust import der
from provisioning.trust.device_code import device_module
from provisioning.trust.probe.chain import Verified, verify
from provisioning.trust.probe.handshake import ClientIdentity, HandshakeAttempt, ProbeTarget, handshake
from provisioning.trust.roots import Root
from provisioning.trust.routes import Route

CONFIRM = 2  # handshakes that must agree before a route is left

# What to do about a kind of failure for somebody at a computer, where that is more than what the device says (firmware/twinroot/errors.py).
_HINTS = {
    "trust": "Add the root that this server's chain ends in to the product, or find out who answers in its place.",
    "clock": "Check the certificate's dates and the device's time servers; the route is not to blame.",
    "network": "Check DNS, firewall and port; the device tries again by itself.",
    "set": "The set is broken: render the product and write it again.",
}


def error_class(kind: str) -> tuple[str, str]:
    """The class that a device raises for a kind of failure, from its own table, and what to do about it."""
    name, advice = device_module("errors").HELP[kind]
    return name, _HINTS.get(kind, f"{advice}.")


@dataclass(frozen=True)
class Tried:
    """One handshake of the pass. `kind` is None when it succeeded."""

    route: str
    kind: str | None
    root: str | None
    text: str
    attempt: HandshakeAttempt
    verified: Verified | None


@dataclass(frozen=True)
class Verdict:
    """`connects`: by `route`, anchored by `root`; else `error` is the class that the device raises, on `route`."""

    connects: bool
    route: str
    root: str | None
    kind: str | None
    error: str | None
    text: str
    hint: str
    tried: tuple[Tried, ...]

    def as_dict(self) -> dict[str, object]:
        rows = [{"route": t.route, "kind": t.kind, "root": t.root, "text": t.text} for t in self.tried]
        return {**{k: v for k, v in vars(self).items() if k != "tried"}, "tried": rows}


def judge(
    routes: Sequence[Route],
    roots: Mapping[str, Root] | Mapping[str, der.Certificate],
    *,
    where: Callable[[Route], ProbeTarget] | None = None,
    identity: ClientIdentity | None = None,
    clock: datetime | None = None,
    floor: datetime | None = None,
    timeout: float = 20.0,
    first: int = 0,
) -> Verdict:
    """Try the routes as a device does, beginning with the `first` (the one that worked last).

    `clock`: the device's time, by default this computer's. `floor`: the time below which the device knows that its clock is wrong.
    """
    anchors = {n: r if isinstance(r, der.Certificate) else der.certificate(r.der) for n, r in roots.items()}
    now = clock or datetime.now(timezone.utc)
    tried: list[Tried] = []
    order = [first, *(i for i in range(len(routes)) if i != first)]
    for index in order:
        route = routes[index]
        if floor is not None and now < floor:
            return _failed(route, "clock", f"the clock says {now:%Y-%m-%d}, which is before this set was made", tried)
        target = where(route) if where else ProbeTarget(route.host, route.port)
        mine = {n: anchors[n] for n in route.roots if n in anchors}
        if not mine or len(mine) < len(route.roots):
            return _failed(route, "set", "a root of this route is missing" if route.roots else "no root is loaded for this route", tried)
        for _ in range(CONFIRM):
            one = _try(route, target, mine, identity, now, timeout)
            tried.append(one)
            if one.kind is None:
                return Verdict(
                    True, route.name, one.root, None, None, f"connects by route {route.name}, anchored by {one.root}", "", tuple(tried)
                )
            if one.kind != "trust":
                return _failed(route, one.kind, one.text, tried)
    return _failed(routes[order[-1]], "trust", tried[-1].text, tried)


def _try(
    route: Route,
    target: ProbeTarget,
    anchors: Mapping[str, der.Certificate],
    identity: ClientIdentity | None,
    now: datetime,
    timeout: float,
) -> Tried:
    attempt = handshake(target, identity=identity, timeout=timeout)
    kind, text, verified = classify(attempt, anchors, route.host, now)
    return Tried(route.name, kind, verified.anchor if verified else None, text, attempt, verified)


def classify(
    attempt: HandshakeAttempt, anchors: Mapping[str, der.Certificate], host: str, now: datetime
) -> tuple[str | None, str, Verified | None]:
    """Kind of failure (None: it would succeed), a sentence, and the verification of the chain when one was seen.

    A device verifies the chain as soon as it has it, so what is wrong with the chain comes before what happens to the connection later.
    """
    if not attempt.chain:
        return "network", attempt.error, None
    try:
        verified = verify([der.certificate(c) for c in attempt.chain], anchors, host, now)
    except DerError as e:
        return "network", f"the server's certificate cannot be parsed: {e}", None
    if verified.kind:
        wanted = f"; the chain was signed by {verified.wanted}" if verified.kind == "trust" and verified.wanted else ""
        return verified.kind, "; ".join(p.text for p in verified.problems) + wanted, verified
    if attempt.done:
        return None, "", verified
    return ("refused" if attempt.alert is not None else "network"), attempt.error, verified


def _failed(route: Route, kind: str, text: str, tried: list[Tried]) -> Verdict:
    error, hint = error_class(kind)
    return Verdict(False, route.name, None, kind, error, text, hint, tuple(tried))
