"""`twinroot aws register --renewed` and `aws retire-certificates`: renewed certificates in AWS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioning.cli import _aws as aws_option
from provisioning.cli import _options as option
from provisioning.cli._output import conclude, say
from provisioning.errors import InputError

if TYPE_CHECKING:
    from provisioning.aws.iot_api import Aws
    from provisioning.aws.register import Registration, Result
    from provisioning.config.product import Product


def units(product: Product, device: str | None, devices: Path | None) -> list[Registration]:
    """Those of the devices meant that have a renewed certificate here. Raises InputError where none has."""
    from provisioning.aws.register import Registration
    from provisioning.config.unit import choose
    from provisioning.job import signed_renewals

    return [Registration.of(product, one) for one in signed_renewals.chosen(product, choose(product, device, devices))]


def register_renewed(aws: Aws, product: Product, wanted: list[Registration], policy: str) -> int:
    """Register, and report."""
    from provisioning.aws import renewed
    from provisioning.identity.pair import leaf_of

    issue = product.identity.issue
    ca = leaf_of(issue.ca) if issue is not None and issue.ca.exists() else None
    return _report(aws, renewed.register(aws, wanted, policy, ca, progress=_say))


@click.command("retire-certificates")
@option.product
@option.one_device("One device.")
@option.devices("All devices of a list.")
@option.health
@aws_option.region
@aws_option.profile
@aws_option.rate
@aws_option.dry_run
def retire(
    product: Path,
    device: str | None,
    devices: Path | None,
    files: tuple[Path, ...],
    region: str | None,
    profile: str | None,
    rate: float | None,
    dry_run: bool,
) -> int:
    """Deactivate certificates that renewed ones have replaced, of devices that were seen with the new one.

    Seen: the device's newest telemetry names it, in the fleet index, or in --health ({"device": …, and the telemetry} a line). Others wait.
    """
    from provisioning.aws import fleet_index, renewed
    from provisioning.aws.endpoints import region_of

    loaded = aws_option.product_of_aws(product)
    wanted = units(loaded, device, devices)
    aws = aws_option.connected(region or region_of(loaded), profile, rate)
    reports = _lines(files) if files else fleet_index.reports(aws)
    seen: dict[str, dict[str, Any]] = {}
    for report in reports:
        health, name = report.get("health", report), report.get("device")
        if isinstance(health, dict) and isinstance(name, str) and _time(health) >= _time(seen.get(name, {})):
            seen[name] = health
    return _report(aws, renewed.retire(aws, wanted, seen, progress=_say, dry_run=dry_run), dry_run)


def _lines(files: tuple[Path, ...]) -> list[dict[str, Any]]:
    from provisioning.config.text_file import read_text
    from provisioning.parsed import from_json

    found = []
    for file in files:
        for number, line in enumerate(read_text(file).splitlines(), 1):
            try:
                row = from_json(line) if line.strip() else {}
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise InputError("bad-health", f"{file}:{number} is not a JSON object.", "A line is one device's report.")
            found.append(row)
    return found


def _time(health: dict[str, Any]) -> float:
    found = health.get("t")
    return float(found) if isinstance(found, (int, float)) else 0.0


def _report(aws: Aws, rows: list[Result], dry_run: bool = False) -> int:
    bad = [row for row in rows if row.outcome == "error"]
    waiting = sum(row.outcome == "waiting" for row in rows)
    busy = sum(bool(row.done) for row in rows)
    verb = "would change" if dry_run else "changed"
    text = f"{len(rows)} devices: {busy} {verb}, {waiting} wait for evidence, {len(bad)} failed; {aws.requests} requests"
    failure = InputError("not-registered", f"{len(bad)} of {len(rows)} devices failed.", "Correct what each says and run it again.")
    data = {"region": aws.region, "dry_run": dry_run, "requests": aws.requests, "devices": [vars(row) for row in rows]}
    return conclude(data, text, failure if bad else None)


def _say(row: Result) -> None:
    if row.done or row.message:
        say(f"{row.device}: {row.message or ', '.join(row.done)} {row.hint}".rstrip())
