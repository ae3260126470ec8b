"""The arguments and the report of `twinroot trust probe`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from provisioning.errors import BoardError, InputError
from provisioning.trust import policy
from provisioning.trust.endpoint import classify
from provisioning.trust.probe.examine import Examination, examine
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


@dataclass(frozen=True)
class ProbeResult:
    data: dict[str, Any]
    text: str
    failure: BoardError | None  # why a device would not connect


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
        seen.append(examine(plan.targets[route.name], plan.roots, identity=plan.identity, now=plan.clock, timeout=timeout))
    verdict = judge(
        plan.routes,
        plan.roots,
        where=lambda route: plan.targets[route.name],
        identity=plan.identity,
        clock=plan.clock,
        timeout=timeout,
    )
    verdict_row = verdict.as_dict()
    no_certificate = verdict.kind == "refused" and plan.identity is None
    data = {
        "subject": plan.subject,
        "lab": plan.lab,
        "routes": [{"route": r.name, "roots": list(r.roots), **e.as_dict()} for r, e in zip(plan.routes, seen, strict=True)],
        "verdict": {**verdict_row, "without_client_certificate": no_certificate},
    }
    lab = ["lab: the product's `lab: resolve:` says where the connections go"] if plan.lab else []
    blocks = lab + [_route_text(r, e) for r, e in zip(plan.routes, seen, strict=True)]
    # Without the device's own certificate the server's refusal is expected, and the chain is what was asked about.
    failure = None if verdict.connects or no_certificate else _failure(verdict)
    return ProbeResult(data, "\n\n".join([*blocks, _verdict_text(verdict, no_certificate)]), failure)


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
    return ProbePlan(product.routes, targets, {**product.roots, **more}, identity, at, product.name, bool(product.lab_resolve))


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


def _route_text(route: Route, e: Examination) -> str:
    endpoint = classify(route.host)
    where = f" in {endpoint.region}" if endpoint.region else ""
    lines = [f"{e.host}:{e.port}" + (f" at {e.address}" if e.address else ""), f"  endpoint     {endpoint.cls}{where}"]
    if e.error:
        return "\n".join([*lines, f"  failed       {e.error}"])
    lines.append(f"  device TLS   {e.tls or 'not completed'}")
    lines.append(f"  newest TLS   {e.newest or 'not completed'}")
    for n, c in enumerate(e.chain, 1):
        lines.append(f"  chain {n}      {c.name} ({c.key}), {c.not_before} to {c.not_after}, {c.days_left} days left")
        if n == 1 and c.dns_names:
            lines.append(f"               names {', '.join(c.dns_names)}")
    lines.append(f"  signed by    {e.chain[-1].issuer}")
    anchoring = [a.root for a in e.anchors if a.device]
    lines.append(f"  anchored by  {e.all_roots or 'none of ' + ', '.join(a.root for a in e.anchors)}")
    if len(anchoring) > 1:
        lines.append(f"  also by      {', '.join(a for a in anchoring if a != e.all_roots)}")
    for a in e.anchors:
        if a.device != a.openssl:
            lines.append(
                f"  differs      {a.root}: a device says {'yes' if a.device else 'no'}, OpenSSL {'yes' if a.openssl else 'no'} {a.why}"
            )
    lines += [f"  with {kind:<8}{root or 'no root'}" for kind, root in e.by_key.items()]
    lines += [f"  other name   {e.other_name}", f"  no name      {e.no_name}", f"  client cert  {e.client_certificate}"]
    lines += [f"  note         {note}" for note in e.notes]
    return "\n".join(lines)


def _verdict_text(verdict: Verdict, no_certificate: bool) -> str:
    if verdict.connects:
        passed = [t.route for t in verdict.tried if t.kind]
        before = f" (after {passed[0]} was not to be trusted)" if passed else ""
        return f"verdict: a device {verdict.text}{before}"
    if no_certificate:
        return f"verdict: a device with a certificate of its own gets past the server's chain on route {verdict.route}; none was shown here"
    return f"verdict: a device raises {verdict.error} on route {verdict.route}: {verdict.text}"


def _failure(verdict: Verdict) -> BoardError:
    return BoardError(f"{verdict.kind}", f"A device would not connect: {verdict.error} on route {verdict.route}.", verdict.hint)
