"""What live servers show, and what a device would do with them: of one host, or of every route of a product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from provisioning.errors import InputError
from provisioning.trust import policy
from provisioning.trust.endpoint import classify
from provisioning.trust.probe.examine import Examination, examine
from provisioning.trust.probe.expected import differences
from provisioning.trust.probe.handshake import ClientIdentity, ProbeTarget
from provisioning.trust.probe.verdict import Verdict, judge
from provisioning.trust.roots import Root, load_pinned, load_roots
from provisioning.trust.routes import Route

_PORT = 8883


@dataclass(frozen=True)
class ProbePlan:
    """What is probed: routes with where to find them, the roots to try, the certificate to show."""

    routes: tuple[Route, ...]
    targets: dict[str, ProbeTarget]  # by route name
    roots: dict[str, Root]
    identity: ClientIdentity | None
    clock: datetime | None
    subject: str
    lab: bool = False
    provider: str | None = None  # the product's; None: as the host name tells


@dataclass(frozen=True)
class ProbeResult:
    """`seen`: what each route's server showed, in the plan's order."""

    plan: ProbePlan
    seen: tuple[Examination, ...]
    verdict: Verdict

    @property
    def no_certificate(self) -> bool:
        """Whether the server only refused a client without a certificate: expected, where none was shown."""
        return self.verdict.kind == "refused" and self.plan.identity is None

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        routes = zip(self.plan.routes, self.seen, strict=True)
        return {
            "subject": self.plan.subject,
            "lab": self.plan.lab,
            "routes": [{"route": r.name, "roots": list(r.roots), **e.as_dict()} for r, e in routes],
            "verdict": {**self.verdict.as_dict(), "without_client_certificate": self.no_certificate},
        }


def plan(
    target: str,
    device: str | None,
    address: str | None,
    extra: tuple[Path, ...],
    certificate: Path | None,
    key: Path | None,
    clock: str | None,
) -> ProbePlan:
    """Raises InputError for arguments that do not fit together."""
    at = datetime.combine(policy.day(clock), datetime.min.time(), timezone.utc) if clock else None
    if bool(certificate) != bool(key):
        raise InputError("bad-arguments", "--certificate and --key go together, and one of them is missing.", "Give both.")
    identity = _identity(certificate, key) if certificate and key else None
    more = {file.stem: _root(file) for file in extra}
    if target.endswith((".yaml", ".yml")):
        if address:
            raise InputError("bad-arguments", "--address is for a host; a product has `lab: {resolve: …}`.", "Leave it out.")
        return _of_product(target, device, identity, more, at)
    return _of_host(target, address, identity, more, at)


def run(plan: ProbePlan, timeout: float, say: Callable[[str], None]) -> ProbeResult:
    """Probe each route, then reckon what a device does with all of them."""
    seen: list[Examination] = []
    for route in plan.routes:
        say(f"probing {route.name}: {route.host}:{route.port}")
        found = examine(plan.targets[route.name], plan.roots, identity=plan.identity, now=plan.clock, timeout=timeout)
        seen.append(replace(found, notes=(*found.notes, *differences(found, plan.provider))))
    verdict = judge(
        plan.routes,
        plan.roots,
        where=lambda route: plan.targets[route.name],
        identity=plan.identity,
        clock=plan.clock,
        timeout=timeout,
    )
    return ProbeResult(plan, tuple(seen), verdict)


def _of_product(file: str, device: str | None, identity: ClientIdentity | None, more: dict[str, Root], at: datetime | None) -> ProbePlan:
    from provisioning.config.load import load_product
    from provisioning.config.unit import choose, unit

    product = load_product(file)
    addresses = product.resolved_addresses()
    targets = {}
    for route in product.routes:
        to = addresses.get(f"{route.host}:{route.port}")
        targets[route.name] = ProbeTarget(route.host, route.port, _address(to) if to else None)
    if device and identity is None:
        own = unit(product, choose(product, device)[0])
        identity = _identity(own.certificate, own.key)
    roots = {**product.roots, **more}
    return ProbePlan(product.routes, targets, roots, identity, at, product.name, bool(product.lab_resolve), product.provider)


def _of_host(text: str, address: str | None, identity: ClientIdentity | None, more: dict[str, Root], at: datetime | None) -> ProbePlan:
    host, colon, port = text.rpartition(":")
    if not colon or "/" in text:  # a URL's colon is not a port's: the endpoint grammar says what is wrong with it
        host, port = text, str(_PORT)
    found = classify(host)
    if found.cls == "invalid" or not port.isdigit() or not 1 <= int(port) <= 65535:
        why = found.notes[0] if found.cls == "invalid" else f"{port!r} is not a port"
        raise InputError("bad-target", f"{text!r} cannot be probed: {why}.", "Give HOST, HOST:PORT or a product's YAML file.")
    roots = {**load_roots(), **more}
    wanted = tuple(more) or found.roots or tuple(roots)
    route = Route(found.cls, found.host, int(port), wanted)
    return ProbePlan(
        (route,), {route.name: ProbeTarget(found.host, int(port), _address(address) if address else None)}, roots, identity, at, found.host
    )


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise InputError("bad-address", f"{text!r} is not an address and a port.", "Write it as 127.0.0.1:18883.")
    return host, int(port)


def _root(file: Path) -> Root:
    """A root named on the command line: checked like a pinned one, its pin being what the file is."""
    import hashlib

    from provisioning.identity.reading import certificates

    return load_pinned(file.stem, file, hashlib.sha256(certificates(file, "a root")[0]).hexdigest())


def _identity(certificate: Path, key: Path) -> ClientIdentity:
    """Files that a handshake can use. Raises InputError."""
    import atexit
    import shutil
    import tempfile

    from provisioning.identity.files import KEY_MODE, PUBLIC_MODE, write_new
    from provisioning.identity.pair import load_pair

    pair = load_pair(certificate, key)
    if pair.key_pem is None or (certificate.read_bytes(), key.read_bytes()) == (pair.certificate_pem, pair.key_pem):
        return ClientIdentity(certificate, key)
    # The ssl module takes files only, and PEM in its plainest form.
    folder = Path(tempfile.mkdtemp(prefix="twinroot-probe-"))  # 0700
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = ClientIdentity(folder / "client.crt.pem", folder / "client.key.pem")
    write_new(made.certificate, pair.certificate_pem, PUBLIC_MODE)
    write_new(made.key, pair.key_pem, KEY_MODE)
    return made
