"""`twinroot aws claim`: fleet provisioning by claim."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioning.cli import _aws as aws_option
from provisioning.cli import _options as option
from provisioning.cli._options import PATH
from provisioning.cli._output import conclude, emit, say
from provisioning.errors import InputError

if TYPE_CHECKING:
    from provisioning.aws.certificates import Holder
    from provisioning.aws.register import Result
    from provisioning.config.product import Product

_template = click.option("--template", metavar="NAME", help="The provisioning template; by default twinroot-PRODUCT.")
_folder = click.option(
    "--claim", "folder", type=PATH, metavar="DIR", help="Where claim certificate and key are; by default `claim` beside the product."
)


@click.group("claim")
def group() -> None:
    """Fleet provisioning by claim: a line gets certificates without credentials of the account."""


@group.command()
@option.product
@aws_option.things_role
@_template
@_folder
@aws_option.devices_policy
@click.option("--state", type=PATH, metavar="FILE", help="Journal of what was done; by default PRODUCT.aws.jsonl beside the product.")
@aws_option.region
@aws_option.profile
def prepare(
    product: Path,
    role_arn: str,
    template: str | None,
    folder: Path | None,
    policy: str | None,
    state: Path | None,
    region: str | None,
    profile: str | None,
) -> int:
    """Template, claim policy and claim certificate, whose key is made here. Run again it makes nothing twice."""
    from provisioning.aws import claim
    from provisioning.aws.journal import Journal
    from provisioning.aws.register import ensure_policy

    loaded = aws_option.product_of_aws(product)
    name, holder = _claim(loaded, template, folder)
    account = aws_option.connected(aws_option.region_for(region, loaded), profile)
    own = policy or f"twinroot-{loaded.name}"
    with Journal(state or product.with_suffix(".aws.jsonl")) as journal:
        aws_option.say_policy(own, ensure_policy(account, own, aws_option.document(account.region, policy)))
        done = claim.prepare(account, name, own, role_arn, aws_option.partition(account.region), holder, journal)
    say(f"note: whoever has {holder.key} gets certificates of devices: it belongs on the line's computers alone")
    data = {"region": account.region, "template": name, "policy": own, "certificate": holder.certificate, "key": holder.key, "done": done}
    emit(data, f"template {name}: {', '.join(done) or 'as it should be'}")
    return 0


@group.command()
@option.product
@option.one_device("One device.")
@option.devices("All devices of a list.")
@_template
@_folder
def provision(product: Path, device: str | None, devices: Path | None, template: str | None, folder: Path | None) -> int:
    """A certificate and a thing for each device, over the ATS endpoint, by the claim certificate. The keys are made here and stay here.

    Stopped at any point, the same command goes on. Exit code 2 when AWS rejected a device.
    """
    from provisioning.aws import claim, fleet_provisioning
    from provisioning.aws.provisioning_mqtt import Place, Session, new_client_id
    from provisioning.aws.register import Registration
    from provisioning.config.unit import choose

    loaded = aws_option.product_of_aws(product)
    units = [Registration.of(loaded, row) for row in choose(loaded, device, devices)]
    name, holder = _claim(loaded, template, folder)
    for file in (holder.certificate, holder.key):
        if not file.exists():
            raise InputError("no-claim", f"{file} is missing.", "`twinroot aws claim prepare` makes it; bring it to this computer.")
    place = Place.of(loaded)
    with Session(place, holder.certificate, holder.key, new_client_id(claim.CLIENT_PREFIX)) as session:
        rows = fleet_provisioning.provision(session, place, name, units, progress=lambda r: say(_line(r)) if r.done or r.message else None)
    bad = [row for row in rows if row.outcome != "pass"]
    failure = None
    if bad:
        failure = InputError("not-registered", f"{len(bad)} of {len(rows)} devices failed.", "Correct what each says and run it again.")
    busy = sum(bool(row.done) for row in rows)
    summary = f"{len(rows)} devices: {busy} provisioned, {len(rows) - busy - len(bad)} as they should be, {len(bad)} failed"
    data: dict[str, Any] = {"endpoint": place.host, "template": name, "devices": [vars(row) for row in rows]}
    return conclude(data, lambda: "\n".join([*map(_line, bad), summary]), failure)


def _claim(product: Product, template: str | None, folder: Path | None) -> tuple[str, Holder]:
    from provisioning.aws import claim

    name = template or f"twinroot-{product.name}"
    claim.check_template_name(name)
    return name, claim.holder(folder or product.folder / "claim", name)


def _line(row: Result) -> str:
    return f"{row.device}: {row.message} {row.hint}" if row.message else f"{row.device}: {', '.join(row.done) or 'as it should be'}"
