"""`twinroot aws`: ask AWS IoT for endpoints, register devices and CAs; claim, jitp, jobs, index, packages. Needs the extra `aws`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioning.cli import _aws as aws_option
from provisioning.cli import _aws_claim, _aws_index, _aws_jitp, _aws_job, _aws_package, _aws_renewed
from provisioning.cli import _options as option
from provisioning.cli._aws import connected_or_not
from provisioning.cli._options import PATH
from provisioning.cli._output import conclude, emit, say
from provisioning.errors import InputError

if TYPE_CHECKING:
    from provisioning.aws.register import Result


@click.group()
def command() -> None:
    """Ask AWS for endpoints, register devices, send jobs. Credentials come from AWS's own configuration."""


for _group in (_aws_job.group, _aws_index.group, _aws_package.group, _aws_claim.group, _aws_jitp.group):
    command.add_command(_group)
command.add_command(_aws_renewed.retire)


@command.command()
@aws_option.region
@aws_option.profile
@click.option("--write", "product", type=PATH, metavar="PRODUCT", help="Put the endpoints into this product file, comments kept.")
def endpoint(region: str | None, profile: str | None, product: Path | None) -> int:
    """Every endpoint of the account in a region, each asked for by its type and checked. Nothing is cached."""
    from provisioning.aws import endpoints, iot_api

    if product:
        endpoints.refuse_other_provider(product)
    aws = iot_api.connect(region or (endpoints.region_in(product) if product else None), profile)
    found = endpoints.describe(aws)
    said = endpoints.notes(found, aws.region)
    changed = endpoints.write(product, found, aws.region) if product else {}
    rows = [{"type": d.type, "class": d.cls, "host": d.host, "pair": d.pair, "roots": list(d.roots)} for d in found]
    data: dict[str, Any] = {"region": aws.region, "endpoints": rows, "notes": said}
    lines = [f"{d.type:<23}{d.host}" for d in found]
    if product:
        data |= {"product": str(product), "changed": bool(changed)}
        lines.append(f"{product}: {', '.join(f'{k} {v}' for k, v in changed.items()) or 'says so already'}")
    emit(data, "\n".join(lines))
    for line in said:
        say(f"note: {line}")
    return 0


@command.command()
@option.product
@option.one_device("One device.")
@option.devices("All devices of a list.")
@click.option("--policy", metavar="NAME", help="An IoT policy that is there; by default twinroot-PRODUCT, made when it is not.")
@click.option("--state", type=PATH, metavar="FILE", help="Journal of what was done; by default PRODUCT.aws.jsonl beside the product.")
@aws_option.region
@aws_option.profile
@aws_option.rate
@aws_option.dry_run
@click.option("--renewed", is_flag=True, help="The certificates that `twinroot identity renew` made, beside those that they replace.")
def register(
    product: Path,
    device: str | None,
    devices: Path | None,
    policy: str | None,
    state: Path | None,
    region: str | None,
    profile: str | None,
    rate: float | None,
    dry_run: bool,
    renewed: bool,
) -> int:
    """Thing, certificate, policy for each device. The keys are made here and stay here.

    Stopped at any point, the same command goes on: nothing is made twice. Exit code 2 when a device could not be registered.
    """
    from provisioning.aws import register as work
    from provisioning.aws.endpoints import region_of
    from provisioning.aws.journal import Journal
    from provisioning.config.unit import choose

    loaded = aws_option.product_of_aws(product)
    if renewed:
        if dry_run:
            raise InputError("bad-arguments", "--renewed has no --dry-run.", "Each of its steps may be repeated: leave it out.")
        wanted = _aws_renewed.units(loaded, device, devices)
        client = aws_option.connected(region or region_of(loaded), profile, rate)
        return _aws_renewed.register_renewed(client, loaded, wanted, policy or f"twinroot-{loaded.name}")
    units = [work.Registration.of(loaded, d) for d in choose(loaded, device, devices)]
    aws = connected_or_not(region or region_of(loaded), profile, rate, dry_run)
    name = policy or f"twinroot-{loaded.name}"
    issuer = loaded.identity.issue.ca if loaded.identity.issue else None
    with Journal(state or product.with_suffix(".aws.jsonl")) as journal:
        if dry_run or aws is None:
            results = work.plan(aws, units, journal, issuer)
        else:
            aws_option.say_policy(name, work.ensure_policy(aws, name, aws_option.document(aws.region, policy)))
            progress = lambda r: say(_line(r)) if r.done or r.message else None  # noqa: E731
            results = work.register(aws, units, name, journal, progress, issuer=issuer)
    bad = [r for r in results if r.outcome != "pass"]
    busy = sum(bool(r.done) for r in results)
    verb = "would change" if dry_run else "changed"
    requests = aws.requests if aws else 0
    where = aws.region if aws else region or region_of(loaded)
    data = {"region": where, "policy": name, "dry_run": dry_run, "requests": requests, "devices": [vars(r) for r in results]}
    counts = f"{busy} {verb}, {len(results) - busy - len(bad)} as they should be, {len(bad)} failed"
    summary = f"{len(results)} devices: {counts}; {requests} requests"
    failure = (
        InputError("not-registered", f"{len(bad)} of {len(results)} devices failed.", "Correct what each says and run it again.")
        if bad
        else None
    )
    return conclude(data, lambda: "\n".join([*map(_line, results if dry_run else bad), summary]), failure)


@command.command("register-ca")
@option.product
@aws_option.ca
@aws_option.ca_key
@aws_option.things_role
@aws_option.devices_policy
@aws_option.sni_only
@aws_option.region
@aws_option.profile
@aws_option.dry_run
def register_ca(
    product: Path,
    ca: Path | None,
    ca_key: Path | None,
    role_arn: str,
    policy: str | None,
    sni_only: bool,
    region: str | None,
    profile: str | None,
    dry_run: bool,
) -> int:
    """Just-in-time provisioning: devices with certificates of this CA register themselves when they first connect."""
    from provisioning.aws import factory_ca
    from provisioning.aws import register as work
    from provisioning.aws.endpoints import region_of

    loaded = aws_option.product_of_aws(product)
    signer = aws_option.authority(loaded, ca, ca_key)
    aws = connected_or_not(region or region_of(loaded), profile, None, dry_run)
    name = policy or f"twinroot-{loaded.name}"
    if aws is not None and not dry_run:
        aws_option.say_policy(name, work.ensure_policy(aws, name, aws_option.document(aws.region, policy)))
    done = factory_ca.register_ca(aws, signer, role_arn, name, dry_run=dry_run, sni_only=sni_only)
    state = "registered" if done["registered"] else "would be registered" if done["arn"] is None else "registered already"
    emit({**done, "policy": name, "dry_run": dry_run}, f"CA {done['id']}: {state}")
    return 0


def _line(result: Result) -> str:
    if result.message:
        return f"{result.device}: {result.message} {result.hint}"
    return f"{result.device}: {', '.join(result.done) or 'as it should be'}"
