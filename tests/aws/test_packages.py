"""The software package catalog, against AWS's own model: moto has none of it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from typing import Any

import pytest
from botocore.stub import ANY

from provisioning.aws import packages
from provisioning.errors import InputError
from tests.aws.test_streams import BUCKET, KEY, ROLE, SET, container
from tests.support.aws_contract import Contract

ARN = "arn:aws:iot:us-east-1:123456789012:package/weather-station/version/2"
SBOM = b'{"bomFormat":"CycloneDX","specVersion":"1.6"}'
ARCHIVE = packages.archived(SBOM, "sbom.json")
ARCHIVE_KEY = f"twinroot/{hashlib.sha256(ARCHIVE).hexdigest()}.zip"
NAMED = {"packageName": "weather-station"}
VERSION = {**NAMED, "versionName": "2"}
ATTRIBUTES = {"sha256": hashlib.sha256(SET).hexdigest()}
FOUND = {**VERSION, "packageVersionArn": ARN, "attributes": ATTRIBUTES}


def in_s3(contract: Contract, key: str, content: bytes, version: str | None = None) -> None:
    checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
    answer = {"ContentLength": len(content), "ChecksumSHA256": checksum} | ({"VersionId": version} if version else {})
    contract.expect("head_object", {"Bucket": BUCKET, "Key": key, "ChecksumMode": "ENABLED"}, answer, service="s3")


def test_a_version_is_made_with_its_bill_of_materials_and_published(contract: Contract) -> None:
    in_s3(contract, KEY, SET, "v1")
    head = {"Bucket": BUCKET, "Key": ARCHIVE_KEY, "ChecksumMode": "ENABLED"}
    contract.refuse("head_object", head, "404", 404, service="s3")
    put = {"Bucket": BUCKET, "Key": ARCHIVE_KEY, "Body": ARCHIVE, "ContentType": "application/zip", "IfNoneMatch": "*"}
    checksum = base64.b64encode(hashlib.sha256(ARCHIVE).digest()).decode()
    contract.expect("put_object", {**put, "ChecksumSHA256": checksum}, {"VersionId": "v7"}, service="s3")
    contract.refuse("get_package", NAMED, "ResourceNotFoundException", 404)
    contract.expect("create_package", {**NAMED, "description": "Signed sets of weather station"}, NAMED)
    contract.refuse("get_package_version", VERSION, "ResourceNotFoundException", 404)
    artifact = {"s3Location": {"bucket": BUCKET, "key": KEY, "version": "v1"}}
    made = {**VERSION, "attributes": ATTRIBUTES, "artifact": artifact}
    contract.expect("create_package_version", made, {"packageVersionArn": ARN, **VERSION, "status": "DRAFT"})
    contract.expect("get_package_version", VERSION, {**FOUND, "status": "DRAFT"})
    sbom = {"s3Location": {"bucket": BUCKET, "key": ARCHIVE_KEY, "version": "v7"}}
    associated = {**VERSION, "sbom": sbom, "sbomValidationStatus": "IN_PROGRESS"}
    contract.expect("associate_sbom_with_package_version", {**VERSION, "sbom": sbom}, associated)
    contract.expect("update_package_version", {**VERSION, "action": "PUBLISH"})
    published = {**FOUND, "status": "PUBLISHED", "sbom": sbom, "sbomValidationStatus": "IN_PROGRESS"}
    contract.expect("get_package_version", VERSION, published)
    found = packages.publish(contract.aws, SET, BUCKET, SBOM)
    assert found == packages.Version("weather-station", "2", ARN, "PUBLISHED", "IN_PROGRESS")
    # Once more: nothing is made.
    in_s3(contract, KEY, SET)
    in_s3(contract, ARCHIVE_KEY, ARCHIVE)
    contract.expect("get_package", NAMED, NAMED)
    contract.expect("get_package_version", VERSION, published)
    contract.expect("get_package_version", VERSION, published)
    assert packages.publish(contract.aws, SET, BUCKET, SBOM) == found


def test_a_lost_answer_is_a_conflict_and_is_compared(contract: Contract) -> None:
    in_s3(contract, KEY, SET)
    contract.refuse("get_package", NAMED, "ResourceNotFoundException", 404)
    contract.refuse("create_package", {**NAMED, "description": ANY}, "ConflictException", 409)
    contract.refuse("get_package_version", VERSION, "ResourceNotFoundException", 404)
    made = {**VERSION, "attributes": ATTRIBUTES, "artifact": {"s3Location": {"bucket": BUCKET, "key": KEY}}}
    contract.refuse("create_package_version", made, "ConflictException", 409)
    contract.expect("get_package_version", VERSION, {**FOUND, "status": "PUBLISHED"})
    contract.expect("get_package_version", VERSION, {**FOUND, "status": "PUBLISHED"})
    assert packages.publish(contract.aws, SET, BUCKET, None).status == "PUBLISHED"


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"attributes": {"sha256": "0" * 64}}, "exists-differently"),
        ({"attributes": {}}, "exists-differently"),
        ({"status": "DEPRECATED"}, "version-deprecated"),
    ],
)
def test_a_version_that_is_another_set(contract: Contract, other: dict[str, Any], code: str) -> None:
    in_s3(contract, KEY, SET)
    contract.expect("get_package", NAMED, NAMED)
    contract.expect("get_package_version", VERSION, {**FOUND, "status": "PUBLISHED", **other})
    with pytest.raises(InputError) as error:
        packages.publish(contract.aws, SET, BUCKET, None)
    assert error.value.code == code


def test_what_aws_found_wrong_with_a_bill_of_materials(contract: Contract) -> None:
    contract.expect("get_package_version", VERSION, {**FOUND, "status": "PUBLISHED", "sbomValidationStatus": "FAILED"})
    row = {"fileName": "sbom.json", "validationResult": "FAILED", "errorCode": "INCOMPATIBLE_FORMAT", "errorMessage": "not one"}
    asked = {**VERSION, "validationResult": "FAILED", "maxResults": 100}
    contract.expect("list_sbom_validation_results", asked, {"validationResultSummaries": [row], "nextToken": "n"})
    contract.expect(
        "list_sbom_validation_results",
        {**asked, "nextToken": "n"},
        {"validationResultSummaries": [{"errorCode": "FILE_SIZE_LIMIT_EXCEEDED"}]},
    )
    found = packages.describe(contract.aws, "weather-station", "2")
    assert found.sbom == "FAILED" and found.errors == ("sbom.json: not one", "?: FILE_SIZE_LIMIT_EXCEEDED")
    contract.refuse("get_package_version", VERSION, "ResourceNotFoundException", 404)
    with pytest.raises(InputError) as error:
        packages.describe(contract.aws, "weather-station", "2")
    assert error.value.code == "no-version"


def test_versions_of_jobs_are_tracked(contract: Contract) -> None:
    contract.expect("update_package_configuration", {"versionUpdateByJobsConfig": {"enabled": True, "roleArn": ROLE}})
    packages.track(contract.aws, ROLE)
    with pytest.raises(InputError) as error:
        packages.track(contract.aws, "a role")
    assert error.value.code == "bad-role"


def test_the_archive_is_the_same_for_the_same_content() -> None:
    assert packages.archived(SBOM, "sbom.json") == ARCHIVE
    with zipfile.ZipFile(io.BytesIO(ARCHIVE)) as archive:
        assert archive.namelist() == ["sbom.json"] and json.loads(archive.read("sbom.json"))["bomFormat"] == "CycloneDX"


def test_a_product_that_cannot_be_a_package(contract: Contract) -> None:
    with pytest.raises(InputError) as error:
        packages.publish(contract.aws, container(product="Wetter/Ä"), BUCKET, None)
    assert error.value.code == "bad-package-name"
