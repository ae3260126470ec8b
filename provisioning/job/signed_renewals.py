"""Signed sets that bring a renewed certificate and nothing else: one for each device, a few kilobytes, so that a job document holds it.

Every other file of the set is named with its hash (`same` in the manifest) and taken from the board; a board that lacks one of them
refuses. The device's side is firmware/twinroot/renewal.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from provisioning.bundle import bundle
from provisioning.config.device import Device
from provisioning.config.product import Product
from provisioning.config.unit import client_id, files
from provisioning.errors import InputError
from provisioning.identity import renewal
from provisioning.identity.pair import Pair, load_certificate
from provisioning.identity.subject import check_name
from provisioning.ota import job_document, signed_set


@dataclass(frozen=True)
class Signed:
    """What one device gets. `certificate`: SHA-256 of the new one, lower-case hex."""

    device: str
    certificate: str
    container: bytes = field(repr=False)
    document: bytes = field(repr=False)


def is_renewed(product: Product, device: Device) -> bool:
    """Whether the certificate of `device` that is here replaces one that was laid aside here."""
    certificate, _ = files(product, device)
    beginning = renewal.beside(certificate, renewal.REPLACED).name
    return any(path.name.startswith(beginning) for path in certificate.parent.glob(f"{_plain(beginning)}*.pem"))


def made(product: Product, device: Device, signer: signed_set.Signer, expires: int) -> Signed:
    """The container of `device`, signed; its key is not needed. Raises InputError, also when devices would refuse it."""
    certificate, _ = files(product, device)
    pem = load_certificate(certificate)
    leaf = renewal.leaf(pem, certificate)
    check_name(leaf.common_name or "", device, client_id(product, device), certificate)
    pair = Pair(pem, None, leaf.not_before, leaf.not_after, leaf.serial, renewal.fingerprint(leaf), "", leaf.common_name or "")
    one = bundle.build(product, device, kept=bundle.Kept(pair))
    info = json.loads(one.trust[bundle.SET_FILE])
    contents = {**one.trust, **one.lib}
    if signed_set.APPLICATION in info["files"]:
        contents[signed_set.RUNNER] = bundle.runner()
    text = manifest(info, contents, pem, expires=expires, device=device.id)
    container = signed_set.sign(text, [pem], signer, signed_set.vendor_of(info))
    return Signed(device.id, pair.sha256, container, job_document.document(container))


def manifest(info: dict[str, Any], contents: dict[str, bytes], pem: bytes, *, expires: int, device: str) -> bytes:
    """As signed_set.manifest(), of a set of which `device` gets the certificate alone."""
    whole, _ = signed_set.manifest(info, contents, expires=expires, device=device)
    body = json.loads(whole)
    body["same"], body["files"] = body["files"], [[info["cert"], len(pem), info["files"][info["cert"]]]]
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def chosen(product: Product, devices: list[Device]) -> list[Device]:
    """Those of `devices` that have a renewed certificate here. Raises InputError where none has."""
    found = [device for device in devices if is_renewed(product, device)]
    if not found:
        raise InputError(
            "nothing-renewed",
            f"None of the {len(devices)} devices of {product.name} has a renewed certificate on this computer.",
            renewal.first_step(product),
        )
    return found


def _plain(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
