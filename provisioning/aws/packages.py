"""AWS's software package catalog: a package for each product, a version for each signed set, set and bill of materials in the user's
bucket. A job that names a version has AWS write it into the device's reserved shadow `$package` when the device succeeds.

AWS wants a bill of materials as a zip archive of SPDX or CycloneDX files in JSON, and checks it by itself, later.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from provisioning.aws import objects
from provisioning.aws.iot_api import Aws, Exists, NotFound
from provisioning.aws.roles import role
from provisioning.errors import InputError
from provisioning.ota.job_document import manifest_of
from provisioning.parsed import from_json

# Of a name of a package: [a-zA-Z0-9-_.], at most 128; of a version's the same, at most 64.
_NAME = re.compile(r"[a-zA-Z0-9._-]{1,128}")
_HASH = "sha256"  # attribute of a version: of the signed set
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same bytes for the same content


@dataclass(frozen=True)
class Version:
    """A version as AWS has it. `status`: DRAFT, PUBLISHED or DEPRECATED. `sbom`: what AWS found of the bill of materials, IN_PROGRESS,
    FAILED or SUCCEEDED, "" where it has none; `errors`: why it failed."""

    package: str
    version: str
    arn: str
    status: str
    sbom: str
    errors: tuple[str, ...] = ()


def publish(aws: Aws, container: bytes, bucket: str, sbom: bytes | None, *, sbom_name: str = "sbom.json") -> Version:
    """The version of a signed set, made, published, and with its bill of materials as far as that is missing. Safe to repeat.

    `sbom`: what `twinroot sbom` writes. Raises InputError when the version is there with another set, or is deprecated.
    """
    manifest = manifest_of(container)
    package, version = name_of(manifest), str(manifest["version"])
    if sbom is not None:
        check_sbom(sbom, sbom_name)
    digest = hashlib.sha256(container).hexdigest()
    there = objects.put(aws, bucket, container, ".bin")
    archive = objects.put(aws, bucket, archived(sbom, sbom_name), ".zip", "application/zip") if sbom is not None else None
    try:
        aws.call("get_package", packageName=package)
    except NotFound:
        with suppress(Exists):  # an answer was lost, or another computer was faster: what is there is compared below
            aws.call("create_package", packageName=package, description=f"Signed sets of {manifest['product']}")
    found = _version(aws, package, version)
    if found is None:
        artifact = {"s3Location": there.location}
        attributes = {_HASH: digest}
        with suppress(Exists):
            aws.call("create_package_version", packageName=package, versionName=version, attributes=attributes, artifact=artifact)
        found = aws.call("get_package_version", packageName=package, versionName=version)
    if found.get("attributes", {}).get(_HASH) != digest:
        raise InputError(
            "exists-differently", f"Version {version} of package {package} is another set than this one.", "Sign it with a higher version."
        )
    if found["status"] == "DEPRECATED":
        raise InputError(
            "version-deprecated", f"Version {version} of package {package} is deprecated.", "Publish it again in AWS, or sign a new one."
        )
    if archive is not None and found.get("sbom", {}).get("s3Location", {}).get("key") != archive.key:
        location = archive.location
        aws.call("associate_sbom_with_package_version", packageName=package, versionName=version, sbom={"s3Location": location})
    if found["status"] == "DRAFT":
        aws.call("update_package_version", packageName=package, versionName=version, action="PUBLISH")
    return describe(aws, package, version)


def describe(aws: Aws, package: str, version: str) -> Version:
    """Raises InputError when there is no such version."""
    found = _version(aws, package, version)
    if found is None:
        raise InputError("no-version", f"AWS has no version {version} of package {package}.", "`twinroot aws package publish` makes it.")
    checked = str(found.get("sbomValidationStatus") or "")
    errors: list[str] = []
    if checked == "FAILED":
        for row in aws.pages(
            "list_sbom_validation_results",
            "validationResultSummaries",
            packageName=package,
            versionName=version,
            validationResult="FAILED",
            maxResults=100,
        ):
            errors.append(f"{row.get('fileName', '?')}: {row.get('errorMessage') or row.get('errorCode') or 'no reason'}")
    return Version(package, version, str(found["packageVersionArn"]), str(found["status"]), checked, tuple(errors))


def track(aws: Aws, role_arn: str) -> None:
    """Have AWS write the versions of jobs that succeed into devices' shadows. `role_arn`: a role that AWS IoT may take for that."""
    aws.call("update_package_configuration", versionUpdateByJobsConfig={"enabled": True, "roleArn": role(role_arn)})


def name_of(manifest: dict[str, Any]) -> str:
    """The package of a product. Raises InputError for a name that AWS does not take."""
    name = re.sub(r"\s+", "-", str(manifest["product"]))
    if not _NAME.fullmatch(name):
        raise InputError(
            "bad-package-name", f"{name[:40]!r} cannot be the name of a package.", "1 to 128 letters, digits, '.', '_' and '-'."
        )
    return name


def check_sbom(sbom: bytes, name: str) -> None:
    """Raises InputError for what is no bill of materials in one of the two standards that AWS reads."""
    try:
        found = from_json(sbom)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not (
        (found.get("bomFormat") == "CycloneDX" and isinstance(found.get("specVersion"), str)) or isinstance(found.get("spdxVersion"), str)
    ):
        raise InputError(
            "not-a-sbom",
            f"{name} is not a bill of materials: neither CycloneDX nor SPDX in JSON. Nothing was sent.",
            f"`twinroot sbom PRODUCT --out {name if name.endswith('.json') else 'sbom.json'}` writes one.",
        )


def archived(sbom: bytes, name: str) -> bytes:
    """A zip archive of one file, the same bytes for the same content."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(name, _EPOCH)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.create_system = 3
        archive.writestr(entry, sbom)
    return stream.getvalue()


def _version(aws: Aws, package: str, version: str) -> dict[str, Any] | None:
    try:
        return aws.call("get_package_version", packageName=package, versionName=version)
    except NotFound:
        return None
