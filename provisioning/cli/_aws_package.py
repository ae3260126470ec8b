"""`twinroot aws package`: the software package catalog."""

from __future__ import annotations

from pathlib import Path

import click

from provisioning.cli import _aws as aws_option
from provisioning.cli._aws_job import _read
from provisioning.cli._options import FILE
from provisioning.cli._output import conclude, emit
from provisioning.errors import InputError


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
    """Package and version for the signed set in SIGNED_SET, published. Run again it makes nothing twice."""
    from provisioning.aws import packages

    container, parts = _read(file), _read(sbom) if sbom else None
    account = aws_option.connected(region, profile)
    found = packages.publish(account, container, bucket, parts, sbom_name=sbom.name if sbom else "")
    checked = f", bill of materials {found.sbom}" if found.sbom else ""
    emit({**vars(found), "region": account.region}, f"{found.package} {found.version}: {found.status}{checked}")
    return 0


@group.command()
@click.argument("package")
@click.argument("version")
@aws_option.region
@aws_option.profile
def status(package: str, version: str, region: str | None, profile: str | None) -> int:
    """A version, and what AWS found of its bill of materials. Exit code 2 when AWS does not take that."""
    from provisioning.aws import packages

    account = aws_option.connected(region, profile)
    found = packages.describe(account, package, version)
    failure = None
    if found.sbom == "FAILED":
        why = "; ".join(found.errors) or "it does not say why"
        failure = InputError("sbom-refused", f"AWS does not take the bill of materials of {package} {version}: {why}.", "twinroot sbom")
    checked = f", bill of materials {found.sbom}" if found.sbom else ""
    return conclude({**vars(found), "region": account.region}, f"{package} {version}: {found.status}{checked}", failure)


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
