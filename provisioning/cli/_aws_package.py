"""`twinroot aws package`: the software package catalog."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from provisioning.cli import _aws as aws_option
from provisioning.cli._aws_job import _read
from provisioning.cli._options import FILE
from provisioning.cli._output import conclude, emit
from provisioning.errors import InputError

if TYPE_CHECKING:
    from provisioning.aws.packages import Version


@click.group("package")
def group() -> None:
    """AWS's software package catalog: versions of signed sets, with their bills of materials."""


@group.command()
@click.argument("file", type=FILE, metavar="SIGNED_SET")
@click.option("--sbom", type=FILE, metavar="FILE", help="What `twinroot sbom` wrote, either standard.")
@click.option("--bucket", metavar="NAME", required=True, help="S3 bucket of yours; set and bill of materials go there.")
@aws_option.region
@aws_option.profile
def publish(file: Path, sbom: Path | None, bucket: str, region: str | None, profile: str | None) -> int:
    """Package and version for the signed set in SIGNED_SET, published. Run again it makes nothing twice.

    Exit code 2 when AWS does not take the bill of materials; `status` says what AWS finds later.
    """
    from provisioning.aws import packages

    container, parts = _read(file), _read(sbom) if sbom else None
    account = aws_option.connected(region, profile)
    found = packages.publish(account, container, bucket, parts, sbom_name=sbom.name if sbom else "")
    return _conclude(found, account.region)


@group.command()
@click.argument("package")
@click.argument("version")
@aws_option.region
@aws_option.profile
def status(package: str, version: str, region: str | None, profile: str | None) -> int:
    """A version, and what AWS found of its bill of materials. Exit code 2 when AWS does not take that."""
    from provisioning.aws import packages

    account = aws_option.connected(region, profile)
    return _conclude(packages.describe(account, package, version), account.region)


def _conclude(found: Version, region: str) -> int:
    failure, name = None, f"{found.package} {found.version}"
    if found.sbom == "FAILED":
        why = "; ".join(found.errors) or "it does not say why"
        hint = "`twinroot sbom PRODUCT --out FILE` writes one; publish again with that."
        failure = InputError("sbom-refused", f"AWS does not take the bill of materials of {name}: {why}.", hint)
    checked = f", bill of materials {found.sbom}" if found.sbom else ""
    return conclude({**vars(found), "region": region}, f"{name}: {found.status}{checked}", failure)


@group.command()
@aws_option.role("Role with which AWS IoT writes devices' shadows `$package`.", required=True)
@aws_option.region
@aws_option.profile
def track(role_arn: str, region: str | None, profile: str | None) -> int:
    """Have AWS write down, in each device's shadow, the version that a job brought."""
    from provisioning.aws import packages

    account = aws_option.connected(region, profile)
    packages.track(account, role_arn)
    emit({"region": account.region, "role": role_arn}, "versions of jobs that succeed are written into devices' shadows")
    return 0
