"""`twinroot trust`: the roots this product knows, what files of certificates hold, what live servers show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioning.cli import _options as option
from provisioning.cli._options import FILE, PATH
from provisioning.cli._output import conclude, say
from provisioning.errors import BoardError, InputError
from provisioning.untrusted_text import one_line

if TYPE_CHECKING:
    from provisioning.trust.contents import Contents


@click.group()
def command() -> None:
    """Roots: list them, check files, probe live servers; a calendar of ends."""


@command.command("list")
@click.option("--product", "products", type=PATH, multiple=True, metavar="FILE", help="Only the roots that its routes use, and which.")
@click.option("--fail-within", metavar="SPAN", help="Exit code 1 when a date of a root falls within SPAN (2y, 18m, 90d).")
@option.today
def list_(products: tuple[Path, ...], fail_within: str | None, on: str | None) -> int:
    """Roots, fingerprints, keys, validity, and the dates a fleet owner plans by."""
    from provisioning.config.load import load_product
    from provisioning.migration import phases
    from provisioning.trust import policy
    from provisioning.trust.roots import load_roots

    loaded = [load_product(file) for file in products]
    roots = load_roots()
    for product in loaded:
        roots |= product.roots
    found = policy.outlook(
        roots,
        [(product.name, route) for product in loaded for route in product.routes] if products else None,
        policy.day(on) if on else None,
        policy.span(fail_within) if fail_within else None,
    )
    failure = None
    if found.failing:
        names = ", ".join(dict.fromkeys(n.root for n in found.failing))
        hint = "`twinroot migrate plan PRODUCT.yaml` says how a fleet leaves a root."
        if loaded and not any(map(phases.has_phases, loaded)):
            hint = "`twinroot migrate retire ROOT PRODUCT.yaml` leaves a root when its successor is on every device; docs/providers.md."
        failure = BoardError("date-within", f"Within {fail_within} a date comes, or has come, for {names}.", hint)
    for warning in found.warnings:
        if warning not in found.failing:
            say(f"warning: {warning}")
    for notice in found.failing:
        say(f"within {fail_within}: {notice}")
    data = {"roots": found.rows, "warnings": [vars(w) for w in found.warnings], "failing": [vars(w) for w in found.failing]}
    return conclude(data, lambda: "\n\n".join(map(_root_text, found.rows)), failure)


@command.command()
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=PATH)
@click.option("--product", type=PATH, metavar="FILE", help="Roots that this product pins are known roots, too.")
@option.today
def check(files: tuple[Path, ...], product: Path | None, on: str | None) -> int:
    """What PEM, DER, PKCS#7 and bundle files hold, which are known roots, and what is wrong.

    Exit code 2 when a file cannot be read or has a problem.
    """
    from datetime import datetime, timezone

    from provisioning.trust import contents, policy
    from provisioning.trust.roots import load_roots

    now = datetime.combine(policy.day(on), datetime.min.time(), timezone.utc) if on else None
    roots = load_roots()
    if product:
        from provisioning.config.load import load_product

        roots |= load_product(product).roots
    found = [contents.examine(file, roots, now) for file in files]
    bad = [f.file for f in found if not f.is_good]
    failure = (
        InputError("bad-certificates", f"Unreadable, or with a problem: {', '.join(bad)}.", "Correct what is named above.") if bad else None
    )
    return conclude({"files": [f.as_dict() for f in found]}, lambda: "\n\n".join(map(_contents_text, found)), failure)


@command.command("calendar")
@click.argument("products", metavar="[PRODUCT]…", nargs=-1, type=PATH)
@click.option("--ics", type=FILE, required=True, metavar="FILE", help="The calendar to write, RFC 5545.")
@click.option("--timestamp", metavar="TIME", help="Its time stamp (RFC 3339); default: SOURCE_DATE_EPOCH, else 1970-01-01.")
def calendar_(products: tuple[Path, ...], ics: Path, timestamp: str | None) -> int:
    """Ends of device certificates and roots, and policy dates, as a calendar with alarms.

    Without a product: all known roots.
    """
    import os

    from provisioning import output_file
    from provisioning.config.load import load_product
    from provisioning.migration import expiry, icalendar
    from provisioning.moment import NO_TIME, moment_of
    from provisioning.trust.roots import load_roots

    stamp = moment_of(timestamp, os.environ) or NO_TIME
    loaded = [load_product(file) for file in products]
    roots = {root.sha256: root for product in loaded for root in product.roots.values()} if loaded else load_roots()
    plan = expiry.plan(loaded, roots)
    name = ", ".join(dict.fromkeys(product.name for product in loaded)) or "roots"
    output_file.write(ics, icalendar.calendar(f"twinroot: {name}", plan.events, stamp), output_file.CALENDAR)
    if plan.absent:
        say(f"note: devices whose certificate is not on this computer, and so not in the calendar: {plan.absent}.")
    events = sorted(plan.events, key=lambda each: (each.day, each.key))
    rows = [{"date": e.day.isoformat(), "kind": e.category, "what": e.summary, "uid": e.uid} for e in events]
    data = {"file": str(ics), "certificates": plan.certificates, "absent": plan.absent, "events": rows}
    return conclude(data, lambda: "\n".join([*(f"{row['date']}  {row['what']}" for row in rows), f"{ics}: {len(rows)} events"]))


def _root_text(row: dict[str, Any]) -> str:
    lines = [
        f"{row['name']}  ({row['status']})",
        f"  subject   {row['subject']}",
        f"  key       {row['key']}",
        f"  sha256    {row['sha256']}",
        f"  valid     {row['not_before'][:10]} to {row['not_after'][:10]}, {row['days_left']} days left",
        *(f"  policy    {p['date']}  {p['what']}" for p in row["policy"]),
    ]
    if row["used_by"]:
        lines.append(f"  used by   {', '.join(row['used_by'])}")
    return "\n".join(lines)


def _contents_text(found: Contents) -> str:
    if found.error:
        return "\n".join(one_line(line) for line in (found.error, f"  next: {found.hint}" if found.hint else "") if line)
    lines = [f"{one_line(found.file)}: {found.form}, {len(found.certificates)} certificate{'s' * (len(found.certificates) != 1)}"]
    for c in found.certificates:
        lines.append(f"  {c.number}. {c.subject or 'unreadable'}")
        if c.subject:
            is_self = "itself" if c.issuer == c.subject else c.issuer
            lines.append(f"     issued by {is_self}; {c.key}, {c.signature}; {c.not_before} to {c.not_after}{'; CA' * c.ca}")
            lines.append(f"     sha256 {c.sha256}")
        if c.dns_names:
            lines.append(f"     names {', '.join(c.dns_names)}")
        if c.known:
            how = (
                f"the known root {c.known}"
                if c.known_by == "fingerprint"
                else f"a cross-certificate: the key of {c.known}, another signature"
            )
            lines.append(f"     is {how}")
        lines += [f"     problem: {p}" for p in c.problems]
    lines += [f"  also holds {label}" for label in found.others]
    lines += [f"  problem: {p}" for p in found.problems]
    return "\n".join(lines)


@command.command()
@click.argument("target", metavar="HOST[:PORT]|PRODUCT")
@option.one_device("Show this device's certificate, when the target is a product.")
@click.option("--address", metavar="IP:PORT", help="Connect there instead; the name stays the one that is verified.")
@click.option("--ca", "extra", type=PATH, multiple=True, metavar="FILE", help="One more root to try (PEM or DER).")
@click.option("--certificate", type=PATH, metavar="FILE", help="Client certificate to show; with --key.")
@click.option("--key", type=PATH, metavar="FILE", help="Its private key.")
@click.option("--clock", metavar="DATE", help="The device's date, when it is not today.")
@click.option("--timeout", type=click.FloatRange(0.1, 300), default=10.0, show_default=True, metavar="SECONDS")
def probe(
    target: str,
    device: str | None,
    address: str | None,
    extra: tuple[Path, ...],
    certificate: Path | None,
    key: Path | None,
    clock: str | None,
    timeout: float,
) -> int:
    """What a live server shows, and what a device with these roots would do there.

    Exit code 1 when it would not connect.
    """
    from provisioning.cli import _probe
    from provisioning.job import probe as job

    found = job.run(job.plan(target, device, address, extra, certificate, key, clock), timeout, say)
    return conclude(found.as_dict(), lambda: _probe.text_of(found), _probe.failure_of(found))
