"""The software package catalog: packages, their versions, the SBOM of a version."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable
from typing import Any

from provisioning.standin.account import objects
from provisioning.standin.account.faults import Fault, not_found
from provisioning.standin.account.model import moment
from provisioning.standin.account.operations import Operations, Params, Result, page
from provisioning.standin.account.state import AccountState
from provisioning.standin.account.store import Record

OPERATIONS = Operations("iot")
_carries = OPERATIONS.carries

LARGEST_SBOM = 1024 * 1024  # bytes of a file
_AS_GIVEN = ("description", "attributes", "artifact", "recipe")


def _package(account: AccountState, name: str) -> Record:
    found = account.table("packages").get(name)
    if found is None:
        raise not_found(f"Package {name} not found")
    return found


def _version(account: AccountState, params: Params) -> Record:
    name, version = params["packageName"], params["versionName"]
    found = account.table("versions").get(name, version)
    if found is None:
        raise not_found(f"Version {version} of package {name} not found")
    return found


def _arn(account: AccountState, record: Record) -> str:
    version = f"/version/{record['version']}" if "version" in record else ""
    return account.arn(f"package/{record['package']}{version}")


def _dates(record: Record) -> Result:
    return {"creationDate": moment(record["createdAt"]), "lastModifiedDate": moment(record["changedAt"])}


def _made_before(record: Record | None, params: Params, what: str) -> bool:
    """Whether `record` is what the same request made. Raises Fault when another one did."""
    if record is None:
        return False
    if record.get("clientToken") != params.get("clientToken") or "clientToken" not in params:
        raise Fault("ConflictException", f"{what} already exists")
    return True


# -- packages ------------------------------------------------------------------------------------------------------------


@_carries("CreatePackage", "packageName description clientToken")
def create_package(account: AccountState, params: Params) -> Result:
    name, now = params["packageName"], account.now()
    record = account.table("packages").get(name)
    if not _made_before(record, params, f"Package {name}"):
        made = {"package": name, "createdAt": now, "changedAt": now}
        made |= {key: params[key] for key in ("description", "clientToken") if key in params}
        record = account.table("packages").put(name, record=made)
    assert record is not None  # noqa: S101  for types
    return {"packageName": name, "packageArn": _arn(account, record), "description": record.get("description")}


@_carries("GetPackage", "packageName")
def get_package(account: AccountState, params: Params) -> Result:
    record = _package(account, params["packageName"])
    return {
        "packageName": record["package"],
        "packageArn": _arn(account, record),
        "description": record.get("description"),
        "defaultVersionName": record.get("default"),
        **_dates(record),
    }


@_carries("UpdatePackage", "packageName description defaultVersionName unsetDefaultVersion clientToken")
def update_package(account: AccountState, params: Params) -> Result:
    record = _package(account, params["packageName"])
    changed: dict[str, Any] = {"changedAt": account.now()}
    if "description" in params:
        changed["description"] = params["description"]
    if "defaultVersionName" in params:
        version = _version(account, {"packageName": record["package"], "versionName": params["defaultVersionName"]})
        if version["status"] != "PUBLISHED":
            raise Fault("ConflictException", f"Version {version['version']} is {version['status']}, not PUBLISHED")
        changed["default"] = version["version"]
    elif params.get("unsetDefaultVersion"):
        changed["default"] = None
    account.table("packages").change(record["package"], **changed)
    return {}


@_carries("ListPackages", "maxResults nextToken")
def list_packages(account: AccountState, params: Params) -> Result:
    shown, token = page(account.table("packages").values(), params)
    rows = [{"packageName": each["package"], "defaultVersionName": each.get("default"), **_dates(each)} for each in shown]
    return {"packageSummaries": rows, "nextToken": token}


@_carries("DeletePackage", "packageName clientToken")
def delete_package(account: AccountState, params: Params) -> Result:
    name = params["packageName"]
    if account.table("versions").where("package", name):
        raise Fault("ConflictException", f"Package {name} has versions")
    if (name,) in account.table("packages"):
        account.table("packages").delete(name)
    return {}


# -- versions ------------------------------------------------------------------------------------------------------------


@_carries("CreatePackageVersion", "packageName versionName description attributes artifact recipe clientToken")
def create_package_version(account: AccountState, params: Params) -> Result:
    name, version, now = params["packageName"], params["versionName"], account.now()
    if (name,) not in account.table("packages"):
        raise Fault("ValidationException", f"Package {name} not found")
    record = account.table("versions").get(name, version)
    if not _made_before(record, params, f"Version {version} of package {name}"):
        made = {"package": name, "version": version, "status": "DRAFT", "createdAt": now, "changedAt": now}
        made |= {key: params[key] for key in (*_AS_GIVEN, "clientToken") if key in params}
        record = account.table("versions").put(name, version, record=made)
    assert record is not None  # noqa: S101  for types
    return {**_shown(account, record), "artifact": None, "recipe": None}


def _shown(account: AccountState, record: Record) -> Result:
    return {
        "packageVersionArn": _arn(account, record),
        "packageName": record["package"],
        "versionName": record["version"],
        "status": record["status"],
        **{key: record.get(key) for key in _AS_GIVEN},
    }


@_carries("GetPackageVersion", "packageName versionName")
def get_package_version(account: AccountState, params: Params) -> Result:
    record = _version(account, params)
    sbom = record.get("sbom")
    status = _status(record["results"]) if sbom else None
    return {**_shown(account, record), **_dates(record), "sbom": sbom, "sbomValidationStatus": status}


@_carries("UpdatePackageVersion", "packageName versionName description attributes artifact action recipe clientToken")
def update_package_version(account: AccountState, params: Params) -> Result:
    record = _version(account, params)
    changed: dict[str, Any] = {key: params[key] for key in _AS_GIVEN if key in params}
    if record["status"] != "DRAFT" and set(changed) - {"description"}:
        raise Fault("ConflictException", f"Version {record['version']} is {record['status']}: it is changed while it is DRAFT")
    action = params.get("action")
    if action == "DEPRECATE" and record["status"] != "PUBLISHED":
        raise Fault("ConflictException", f"Version {record['version']} is {record['status']}, not PUBLISHED")
    if action:
        changed["status"] = {"PUBLISH": "PUBLISHED", "DEPRECATE": "DEPRECATED"}[action]
    account.table("versions").change(record["package"], record["version"], changedAt=account.now(), **changed)
    return {}


@_carries("ListPackageVersions", "packageName status maxResults nextToken")
def list_package_versions(account: AccountState, params: Params) -> Result:
    found = account.table("versions").where("package", params["packageName"])
    shown, token = page([each for each in found if params.get("status") in (None, each["status"])], params)
    rows = [{"packageName": each["package"], "versionName": each["version"], "status": each["status"], **_dates(each)} for each in shown]
    return {"packageVersionSummaries": rows, "nextToken": token}


@_carries("DeletePackageVersion", "packageName versionName clientToken")
def delete_package_version(account: AccountState, params: Params) -> Result:
    name, version = params["packageName"], params["versionName"]
    if (account.table("packages").get(name) or {}).get("default") == version:
        raise Fault("ConflictException", f"Version {version} is the default of package {name}")
    if (name, version) in account.table("versions"):
        account.table("versions").delete(name, version)
    return {}


@_carries("UpdatePackageConfiguration", "versionUpdateByJobsConfig clientToken")
def update_package_configuration(account: AccountState, params: Params) -> Result:
    given = params.get("versionUpdateByJobsConfig", {})
    if given.get("enabled") and "roleArn" not in given:
        raise Fault("ValidationException", "roleArn is needed where versions are updated by jobs")
    account.table("settings").put("packages", record=given)
    return {}


@_carries("GetPackageConfiguration", "")
def get_package_configuration(account: AccountState, _params: Params) -> Result:
    return {"versionUpdateByJobsConfig": account.table("settings").get("packages") or {"enabled": False}}


# -- SBOMs ---------------------------------------------------------------------------------------------------------------


def _validated(account: AccountState, place: Params) -> list[Params]:
    """A row for each file of the archive: it must be JSON of CycloneDX or SPDX. Raises Fault when there is no such archive."""
    record = objects.find(account, place.get("bucket", ""), place.get("key", ""), place.get("version"))
    if record is None:
        raise Fault("ValidationException", f"There is no object {place.get('key')} in bucket {place.get('bucket')}")
    try:
        with zipfile.ZipFile(io.BytesIO(objects.content(account, record))) as archive:
            return [_row(entry, archive.read(entry)) for entry in archive.infolist() if not entry.is_dir()]
    except zipfile.BadZipFile as error:
        raise Fault("ValidationException", f"{place['key']} is not a ZIP archive") from error


def _row(entry: zipfile.ZipInfo, content: bytes) -> Params:
    row: Params = {"fileName": entry.filename, "validationResult": "FAILED"}
    if entry.file_size > LARGEST_SBOM:
        return {**row, "errorCode": "FILE_SIZE_LIMIT_EXCEEDED", "errorMessage": f"A file has at most {LARGEST_SBOM} bytes"}
    try:
        document = json.loads(content)
        known = isinstance(document, dict) and (document.get("bomFormat") == "CycloneDX" or "spdxVersion" in document)
    except ValueError:
        known = False
    if not known:
        return {**row, "errorCode": "INCOMPATIBLE_FORMAT", "errorMessage": "The file is neither CycloneDX nor SPDX in JSON"}
    return {**row, "validationResult": "SUCCEEDED"}


def _status(results: Iterable[Params]) -> str:
    rows = list(results)
    return "SUCCEEDED" if rows and all(row["validationResult"] == "SUCCEEDED" for row in rows) else "FAILED"


@_carries("AssociateSbomWithPackageVersion", "packageName versionName sbom clientToken")
def associate_sbom_with_package_version(account: AccountState, params: Params) -> Result:
    record = _version(account, params)
    results = _validated(account, params["sbom"].get("s3Location", {}))
    account.table("versions").change(record["package"], record["version"], sbom=params["sbom"], results=results, changedAt=account.now())
    status = _status(results)
    return {"packageName": record["package"], "versionName": record["version"], "sbom": params["sbom"], "sbomValidationStatus": status}


@_carries("DisassociateSbomFromPackageVersion", "packageName versionName clientToken")
def disassociate_sbom_from_package_version(account: AccountState, params: Params) -> Result:
    record = _version(account, params)
    account.table("versions").change(record["package"], record["version"], sbom=None, results=None, changedAt=account.now())
    return {}


@_carries("ListSbomValidationResults", "packageName versionName validationResult maxResults nextToken")
def list_sbom_validation_results(account: AccountState, params: Params) -> Result:
    rows = _version(account, params).get("results") or []
    shown, token = page([row for row in rows if params.get("validationResult") in (None, row["validationResult"])], params)
    return {"validationResultSummaries": shown, "nextToken": token}
