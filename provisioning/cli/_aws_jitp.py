"""`twinroot aws jitp`: just-in-time provisioning, looked at and made complete before a line starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioning.cli import _aws as aws_option
from provisioning.cli import _options as option
from provisioning.cli._output import conclude, say
from provisioning.errors import InputError

if TYPE_CHECKING:
    from provisioning.aws.jitp import Finding
    from provisioning.config.product import Product


@click.group("jitp")
def group() -> None:
    """Just-in-time provisioning: devices with certificates of your CA register themselves when they first connect."""


@group.command()
@option.product
@aws_option.ca
@aws_option.ca_key
@aws_option.role("The role that it should be; without it: whichever the CA has.")
@aws_option.devices_policy
@aws_option.region
@aws_option.profile
def check(
    product: Path, ca: Path | None, ca_key: Path | None, role_arn: str | None, policy: str | None, region: str | None, profile: str | None
) -> int:
    """What is missing: CA, automatic registration, template, policy, role, names. Exit code 2 when devices would be refused."""
    from provisioning.aws import jitp

    loaded = aws_option.product_of_aws(product)
    signer = aws_option.authority(loaded, ca, ca_key)
    account = aws_option.connected(aws_option.region_for(region, loaded), profile)
    name = policy or f"twinroot-{loaded.name}"
    return _conclude(account.region, name, [], [*jitp.check(account, signer, name, role_arn), _names(loaded)])


@group.command()
@option.product
@aws_option.ca
@aws_option.ca_key
@aws_option.things_role
@aws_option.devices_policy
@aws_option.sni_only
@aws_option.region
@aws_option.profile
def prepare(
    product: Path,
    ca: Path | None,
    ca_key: Path | None,
    role_arn: str,
    policy: str | None,
    sni_only: bool,
    region: str | None,
    profile: str | None,
) -> int:
    """Make policy and CA, or put right what of them is missing; then say what `check` says. The role is yours to make."""
    from provisioning.aws import jitp
    from provisioning.aws.register import ensure_policy

    loaded = aws_option.product_of_aws(product)
    signer = aws_option.authority(loaded, ca, ca_key)
    account = aws_option.connected(aws_option.region_for(region, loaded), profile)
    name = policy or f"twinroot-{loaded.name}"
    aws_option.say_policy(name, ensure_policy(account, name, aws_option.document(account.region, policy)))
    done = jitp.prepare(account, signer, name, role_arn, sni_only=sni_only)
    return _conclude(account.region, name, done, [*jitp.check(account, signer, name, role_arn), _names(loaded)])


def _names(product: Product) -> Finding:
    """The template calls the thing like the certificate's common name, the device's id; the policy wants that as the client id."""
    from provisioning.aws.jitp import Finding

    if product.client_id == "{device}":
        return Finding("names", "ok")
    return Finding(
        "names", "missing", f"things are called as the devices' ids, and client ids are {product.client_id!r}: take '{{device}}'"
    )


def _conclude(region: str, policy: str, done: list[str], findings: list[Finding]) -> int:
    bad = [finding for finding in findings if not finding.complete]
    lines = [f"{f.subject:<24}{f.state}{f': {f.message}' if f.message else ''}" for f in findings]
    data: dict[str, Any] = {"region": region, "policy": policy, "done": done, "findings": [vars(f) for f in findings]}
    for what in done:
        say(what)
    failure = None
    if bad:
        what = "; ".join(f"{finding.subject}: {finding.message}" for finding in bad)
        failure = InputError("jitp-incomplete", f"AWS would refuse devices. {what}.", "twinroot aws jitp prepare, and what it leaves")
    return conclude(data, "\n".join(lines), failure)
