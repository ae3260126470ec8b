"""What the commands of `twinroot aws` share: their options, and the connection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioning.cli._options import PATH, Decorator
from provisioning.cli._output import say
from provisioning.errors import InputError

if TYPE_CHECKING:
    from provisioning.aws.iot_api import Aws
    from provisioning.config.product import Product
    from provisioning.identity.signer import Authority

region: Decorator = click.option("--region", metavar="REGION", help="AWS region; by default the product's, then AWS's own configuration.")
profile: Decorator = click.option("--profile", metavar="NAME", help="Profile of AWS's own configuration.")
rate: Decorator = click.option(
    "--rate",
    type=click.FloatRange(0),
    metavar="N",
    help="Requests of each kind a second; 0 is no limit. Default: 80 % of what AWS allows of each (docs/aws.md).",
)
dry_run: Decorator = click.option("--dry-run", is_flag=True, help="Only say what would change.")


def _role(_context: click.Context, _parameter: click.Parameter, arn: str | None) -> str | None:
    from provisioning.aws.roles import role

    return None if arn is None else role(arn)


def role(text: str, *, required: bool = False) -> Decorator:
    """--role-arn, looked at before anything else is."""
    return click.option("--role-arn", required=required, metavar="ARN", callback=_role, help=text)


things_role: Decorator = role("Role with which AWS IoT makes things and certificates.", required=True)
bucket: Decorator = click.option("--bucket", metavar="NAME", help="S3 bucket of yours, in the region of the devices.")
product: Decorator = click.option(
    "--product", type=PATH, metavar="PRODUCT", help="Things are called as its `client_id` says; without it as the devices are."
)
ca: Decorator = click.option(
    "--ca", type=PATH, metavar="FILE", help="Certificate of the factory CA; by default the product's `identity: {issue: …}`."
)
ca_key: Decorator = click.option("--ca-key", type=PATH, metavar="FILE", help="Its key; it signs one proof and is not sent.")
devices_policy: Decorator = click.option("--policy", metavar="NAME", help="Policy of the devices; by default twinroot-PRODUCT.")
sni_only: Decorator = click.option(
    "--sni-only", is_flag=True, help="Register the CA without proof of its key, for devices that send the endpoint's name, as these do."
)


def connected(region: str | None, profile: str | None, rate: float | None = None) -> Aws:
    from provisioning.aws import iot_api

    return iot_api.connect(region, profile, rate)


def connected_or_not(region: str | None, profile: str | None, rate: float | None, dry_run: bool) -> Aws | None:
    """A client; None for a dry run on a computer without credentials, which says what it can without asking."""
    from provisioning.aws import iot_api

    try:
        return connected(region, profile, rate)
    except (iot_api.CannotAsk, iot_api.NoRegion) as error:
        if not dry_run:
            raise
        say(f"note: AWS was not asked ({error.code}): what is there already is known from the journal alone.")
        return None


def product_of_aws(file: Path) -> Product:
    """The product in `file`. Raises InputError for one of another provider."""
    from provisioning.aws.endpoints import check_provider
    from provisioning.config.load import load_product

    found = load_product(file)
    check_provider(found)
    return found


def loaded(product: Path | None) -> Product | None:
    return product_of_aws(product) if product else None


def region_for(region: str | None, product: Product | None) -> str | None:
    from provisioning.aws.endpoints import region_of

    return region or (region_of(product) if product else None)


def things(product: Product | None, names: tuple[str, ...], csv: Path | None) -> list[str]:
    """The names of things that are meant: `--device` as often as wanted, `--devices CSV`, or those rows of it. Raises InputError."""
    from provisioning.config.device import load_devices, single_device
    from provisioning.config.unit import client_id, own_devices

    rows = load_devices(csv) if csv else own_devices(product) if product else []
    if names and rows:
        known = {row.id: row for row in rows}
        if missing := [name for name in names if name not in known]:
            raise InputError("no-devices", f"{missing[0]} is not in the list of devices.", "Correct --device, or the CSV.")
        rows = [known[name] for name in names]
    elif names:
        rows = [single_device(name) for name in names]
    if not rows:
        raise InputError("no-devices", "No devices are named.", "Give --devices CSV, or --device once for each.")
    return [client_id(product, row) if product else row.id for row in rows]


def authority(product: Product, ca: Path | None, ca_key: Path | None) -> Authority:
    """The factory CA of `--ca` and `--ca-key`, or the product's. Raises InputError."""
    from provisioning.identity import factory
    from provisioning.identity.signer import from_files

    if bool(ca) != bool(ca_key):
        raise InputError("bad-arguments", "--ca and --ca-key go together, and one of them is missing.", "Give both, or neither.")
    signer = from_files(ca, ca_key) if ca and ca_key else factory.authority(product)
    if signer is None:
        hint = "Give --ca and --ca-key, or write `issue:` under `identity:`."
        raise InputError("no-ca", f"{product.source} names no factory CA.", hint)
    return signer


def partition(region: str) -> str:
    from provisioning.trust.regions import region as region_of

    where = region_of(region)
    return where.partition if where else "aws"


def document(region: str, policy: str | None) -> dict[str, Any] | None:
    """The devices' policy to make where none is named."""
    from provisioning.aws.topics import policy_document

    return None if policy else policy_document(region, partition(region))


def say_policy(name: str, state: str) -> None:
    if state == "made":
        say(f"policy {name}: made")
    elif state == "differs":
        say(f"note: policy {name} is there, and is not the one that this twinroot makes (docs/trust.md); it is left as it is")
