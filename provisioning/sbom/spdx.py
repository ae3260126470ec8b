"""SPDX 2.3 as JSON (ISO/IEC 5962 is its form 2.2.1): packages, the files in them, and how they relate."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Any

from provisioning.moment import NO_TIME
from provisioning.sbom import parts
from provisioning.sbom.identifier import identifier
from provisioning.sbom.parts import Inventory, Part

_PURPOSES = {
    parts.DEVICE: "DEVICE",
    parts.FIRMWARE: "FIRMWARE",
    parts.FRAMEWORK: "FRAMEWORK",
    parts.LIBRARY: "LIBRARY",
    parts.PACKAGE: "LIBRARY",
    parts.TOOL: "APPLICATION",
}

_NO = "NOASSERTION"


def document(inventory: Inventory, moment: datetime | None) -> dict[str, Any]:
    """The document; its namespace is a function of all but `moment` (UTC)."""
    subject = Part(
        "product",
        parts.DEVICE,
        inventory.product,
        str(inventory.version),
        note=f"Board {inventory.board}, chip {inventory.chip}" + (f", device {inventory.device}." if inventory.device else "."),
    )
    bodies = [
        Part("application", parts.PACKAGE, "application and loader", parts=(inventory.loader, *inventory.application)),
        Part("certificates", parts.PACKAGE, "certificates", parts=inventory.certificates),
    ]
    outer = [inventory.firmware, inventory.package, *bodies]
    every = [part for each in outer for part in each.every()]
    relations = [("DOCUMENT", "DESCRIBES", "product")]
    relations += [("product", "CONTAINS", part.ref) for part in outer]
    relations += [(part.ref, "CONTAINS", inner.ref) for part in every for inner in part.parts]
    relations += [(inventory.tool.ref, "BUILD_TOOL_OF", "product")]
    made: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{inventory.product}-{inventory.device}" if inventory.device else inventory.product,
        "creationInfo": {"creators": [f"Tool: {inventory.tool.name}-{inventory.tool.version}"]},
        "packages": [_package(part) for part in (subject, inventory.tool, *every) if part.kind in _PURPOSES],
        "files": [_file(part) for part in every if part.kind not in _PURPOSES],
        "relationships": [
            {"spdxElementId": _id(one), "relationshipType": how, "relatedSpdxElement": _id(other)} for one, how, other in relations
        ],
    }
    name = re.sub(r"[^A-Za-z0-9.-]", "-", made["name"])
    made["documentNamespace"] = f"https://spdx.org/spdxdocs/{name}-{identifier(made)}"
    made["creationInfo"]["created"] = (moment or NO_TIME).strftime("%Y-%m-%dT%H:%M:%SZ")
    if moment is None:
        made["creationInfo"]["comment"] = "No time was given; the time of creation is that of no event."
    return made


def _id(ref: str) -> str:
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", lambda found: "-" if found[0] == "/" else f"-{ord(found[0]):x}-", ref)


def _package(part: Part) -> dict[str, Any]:
    files = [inner for inner in part.parts if inner.kind not in _PURPOSES]
    notes = [note for note in (part.note, "The version is unknown." if part.known_by == parts.UNKNOWN else "") if note]
    made: dict[str, Any] = {
        "name": part.name,
        "SPDXID": _id(part.ref),
        "downloadLocation": f"git+https://github.com/{part.repository}@{part.revision}" if part.purl else _NO,
        "filesAnalyzed": bool(files),
        "licenseConcluded": _NO,
        "licenseDeclared": part.license or _NO,
        "copyrightText": _NO,
        "primaryPackagePurpose": _PURPOSES[part.kind],
    }
    if files:
        # SPDX 2.3, 7.9: SHA-1 of the files' SHA-1, sorted.
        joined = "".join(sorted(file.sha1 or "" for file in files))
        made["packageVerificationCode"] = {
            "packageVerificationCodeValue": hashlib.sha1(joined.encode(), usedforsecurity=False).hexdigest(),
        }
    references = [("PACKAGE-MANAGER", "purl", part.purl), ("SECURITY", "cpe23Type", part.cpe)]
    optional = {
        "versionInfo": part.version,
        "supplier": f"Organization: {part.supplier}" if part.supplier else None,
        "comment": " ".join(notes),
        "checksums": [{"algorithm": "SHA256", "checksumValue": part.sha256}] if part.sha256 else None,
        "externalRefs": [
            {"referenceCategory": category, "referenceType": kind, "referenceLocator": locator}
            for category, kind, locator in references
            if locator
        ],
    }
    return made | {key: value for key, value in optional.items() if value}


def _file(part: Part) -> dict[str, Any]:
    made: dict[str, Any] = {
        "fileName": f".{part.path}",
        "SPDXID": _id(part.ref),
        "checksums": [
            {"algorithm": "SHA1", "checksumValue": part.sha1},
            {"algorithm": "SHA256", "checksumValue": part.sha256},
        ],
        "licenseConcluded": _NO,
        "copyrightText": _NO,
    }
    certificate = part.certificate
    if certificate is not None:
        made["comment"] = (
            f"X.509 certificate of {certificate.subject}, issued by {certificate.issuer}, valid from {certificate.not_before:%Y-%m-%d} "
            f"to {certificate.not_after:%Y-%m-%d}, SHA-256 fingerprint {certificate.fingerprint}."
        )
    return made
