"""The report of `twinroot trust probe` for people."""

from __future__ import annotations

from provisioning.errors import BoardError
from provisioning.job.probe import ProbeResult
from provisioning.trust.endpoint import classify
from provisioning.trust.probe.examine import Examination
from provisioning.trust.probe.verdict import Verdict
from provisioning.trust.routes import Route


def text_of(found: ProbeResult) -> str:
    """A block for each route, then what a device does."""
    lab = ["lab: the product's `lab: resolve:` says where the connections go"] if found.plan.lab else []
    blocks = [_route_text(r, e) for r, e in zip(found.plan.routes, found.seen, strict=True)]
    return "\n\n".join([*lab, *blocks, _verdict_text(found.verdict, found.no_certificate)])


def failure_of(found: ProbeResult) -> BoardError | None:
    """Why a device would not connect. Without the device's own certificate the server's refusal is expected, and the chain is what was
    asked about."""
    if found.verdict.connects or found.no_certificate:
        return None
    verdict = found.verdict
    return BoardError(f"{verdict.kind}", f"A device would not connect: {verdict.error} on route {verdict.route}.", verdict.hint)


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
