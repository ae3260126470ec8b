"""What the ledger keeps of a product, a bundle and a run: fingerprints, never contents."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import platform
from typing import TYPE_CHECKING, Any

from provisioning import __version__
from provisioning.bundle import compile as compiler
from provisioning.bundle.bundle import CERTIFICATE_FILE, Bundle, Interpreter, useless
from provisioning.config.device import Device
from provisioning.config.product import Product
from provisioning.flash.firmware import Firmware

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

# What an outcome repeats of its intent, so that it can be read alone.
_WHO = ("operator", "station", "toolkit", "job")
OUTCOME_FIELDS = (*_WHO, "product", "board", "chip", "mac", "device", "port", "certificate_sha256", "set_sha256", "sbom_sha256")


def sha256(data: bytes) -> str:
    """Lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def station() -> str:
    """TWINROOT_STATION, or the host's name."""
    return os.environ.get("TWINROOT_STATION") or platform.node()


def operator() -> str:
    """TWINROOT_OPERATOR, or the user's name."""
    try:
        return os.environ.get("TWINROOT_OPERATOR") or getpass.getuser()
    except (OSError, KeyError):
        return "unknown"  # a container may have a user id without a name


def who_and_where(**more: str) -> dict[str, str]:
    """What every row says beside its own fields, `more`: who, where, and with what."""
    return {"operator": operator(), "station": station(), "toolkit": __version__, **more}


def about(product: Product, firmware: Firmware | None = None, who: str | None = None) -> dict[str, Any]:
    """Fields that all boards of a run share. `firmware`: None when it is left as it is."""
    board = json.dumps(product.board.summary(), sort_keys=True, default=str)
    return {
        **who_and_where(**({"operator": who} if who else {})),
        "product": product.name,
        "version": product.version,
        "board": product.board.name,
        "board_sha256": sha256(board.encode()),
        "firmware_version": firmware.version if firmware else None,
        "firmware_sha256": firmware.sha256 if firmware else None,
        "roots": {name: root.sha256 for name, root in product.roots.items()},
        "endpoints": [f"{route.host}:{route.port}" for route in product.routes],
    }


def of_bundle(product: Product, device: Device, bundle: Bundle) -> dict[str, Any]:
    """Fields of one device: the set, its files by hash, the certificate by fingerprint and validity."""
    del product
    certificate = _certificate(bundle)
    return {
        "device": device.id,
        "set_sha256": bundle.set_sha256,
        "files": {path: sha256(content) for path, content in bundle.tree(1).items() if not path.endswith(".key.pem")},
        "certificate_sha256": certificate.fingerprint(_sha256_algorithm()).hex(),
        "certificate_serial": f"{certificate.serial_number:x}",
        "certificate_not_before": certificate.not_valid_before_utc.isoformat().replace("+00:00", "Z"),
        "certificate_not_after": certificate.not_valid_after_utc.isoformat().replace("+00:00", "Z"),
    }


def of_flash(product: Product, device: Device, bundle: Bundle, firmware: Firmware) -> dict[str, Any]:
    """Those of `of_bundle`, and the bill of materials that `twinroot sbom --device` makes: after a flash the firmware is known, too."""
    return {**of_bundle(product, device, bundle), "sbom_sha256": _bill(product, device, bundle, image=firmware.content)}


def of_update(product: Product, device: Device, bundle: Bundle, version: str | None) -> dict[str, Any]:
    """Those of `of_bundle`, the firmware's version as the board has said it, and the bill of materials that `twinroot sbom --device
    --firmware-version` makes of it. A version that was not asked, or another interpreter's package than that bill names, has none."""
    if version is None or bundle.package != compiler.package(Interpreter.default().mpy, without=useless(product)).digest:
        return {**of_bundle(product, device, bundle), "firmware_version": version}
    bill = _bill(product, device, bundle, running=version)
    return {**of_bundle(product, device, bundle), "firmware_version": version, "sbom_sha256": bill}


def load_bill() -> None:
    """Load what a bill is made with, which takes ten times as long as making one: for a thread, while a board is waited for."""
    from provisioning.sbom import document, parts  # noqa: F401


def _bill(product: Product, device: Device, bundle: Bundle, *, image: bytes | None = None, running: str | None = None) -> str:
    from provisioning.sbom import document
    from provisioning.sbom.parts import inventory

    return sha256(document.text(inventory(product, device, bundle.trust[CERTIFICATE_FILE], image, running), document.DEFAULT))


def _certificate(bundle: Bundle) -> Certificate:
    from cryptography import x509

    return x509.load_pem_x509_certificate(bundle.trust[CERTIFICATE_FILE])


def _sha256_algorithm() -> Any:
    from cryptography.hazmat.primitives import hashes

    return hashes.SHA256()
