"""CycloneDX 1.6 as JSON (ECMA-424): certificates are cryptographic assets, what is inside of the firmware is nested in it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from provisioning.sbom import parts
from provisioning.sbom.identifier import identifier
from provisioning.sbom.parts import Inventory, Part

_SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"

_TYPES = {
    parts.FIRMWARE: "firmware",
    parts.FRAMEWORK: "framework",
    parts.LIBRARY: "library",
    parts.PACKAGE: "library",
    parts.FILE: "file",
    parts.CERTIFICATE: "cryptographic-asset",
    parts.TOOL: "application",
}


def document(inventory: Inventory, moment: datetime | None) -> dict[str, Any]:
    """The document; its serial number is a function of all but `moment` (UTC), which is in it where it is given."""
    subject = {
        "type": "device",
        "bom-ref": "product",
        "name": inventory.product,
        "version": str(inventory.version),
        "properties": _properties(board=inventory.board, chip=inventory.chip, device=inventory.device),
    }
    made: dict[str, Any] = {
        "$schema": _SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [_component(inventory.tool)]},
            "component": subject,
        },
        "components": [_component(part) for part in inventory.parts],
        "dependencies": [
            {"ref": "product", "dependsOn": [part.ref for part in inventory.parts]},
            *(
                {"ref": part.ref, "dependsOn": [inner.ref for inner in part.parts]}
                for outer in inventory.parts
                for part in outer.every()
                if part.parts and part.kind == parts.FIRMWARE
            ),
        ],
        # More is inside of a firmware than is listed here; the package is listed module by module.
        "compositions": [
            {"aggregate": "incomplete", "assemblies": [inventory.firmware.ref]},
            {"aggregate": "complete", "assemblies": [inventory.package.ref]},
        ],
    }
    made["serialNumber"] = f"urn:uuid:{identifier(made)}"
    if moment is not None:
        made["metadata"]["timestamp"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return made


def _component(part: Part) -> dict[str, Any]:
    made: dict[str, Any] = {"type": _TYPES[part.kind], "bom-ref": part.ref, "name": part.name}
    certificate = part.certificate
    optional = {
        "version": part.version,
        "description": part.note,
        "supplier": {"name": part.supplier} if part.supplier else None,
        "hashes": [{"alg": "SHA-256", "content": part.sha256}] if part.sha256 else None,
        "licenses": [{"license": {"id": part.license}}] if part.license else None,
        "cpe": part.cpe,
        "purl": part.purl,
        "components": [_component(inner) for inner in part.parts],
        "properties": _properties(
            path=part.path,
            known_by=part.known_by if part.kind in (parts.FIRMWARE, parts.FRAMEWORK, parts.LIBRARY) else None,
            fingerprint_sha256=certificate.fingerprint if certificate else None,
        ),
    }
    made |= {key: value for key, value in optional.items() if value}
    if certificate is not None:
        made["cryptoProperties"] = {
            "assetType": "certificate",
            "certificateProperties": {
                "subjectName": certificate.subject,
                "issuerName": certificate.issuer,
                "notValidBefore": certificate.not_before.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "notValidAfter": certificate.not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "certificateFormat": "X.509",
                "certificateExtension": "pem",
            },
        }
    return made


def _properties(**values: str | None) -> list[dict[str, str]]:
    return [{"name": f"twinroot:{name}", "value": value} for name, value in values.items() if value]
