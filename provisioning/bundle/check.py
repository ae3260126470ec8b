"""Checks the devices of a product without a board and without writing.

Where the product issues identities, a certificate or a key that is not here is no mistake: it is still to be made, or on its board.
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from provisioning.bundle.bundle import Kept, build
from provisioning.bundle.space import check_space
from provisioning.config.device import Device, single_device
from provisioning.config.product import Product
from provisioning.config.text_file import is_file
from provisioning.config.unit import choose, files, needs_device, own_devices, unit
from provisioning.identity.pair import Pair, load_certificate

# What is missing of a device's identity -> what it will be needed for.
HERE = "certificate and key are here"
ON_ITS_BOARD = "its key is on its board, where update, verify, flash and station find it"
TO_BE_MADE = "certificate and key are made when a board becomes this device (flash, station), with the key of the CA"
_ANY = Pair(b"\0" * 1200, None, datetime(2026, 1, 1, tzinfo=timezone.utc), datetime(2026, 1, 1, tzinfo=timezone.utc), 0, "", "0" * 64)


def check_devices(product: Product, device: str | None = None, devices: Path | None = None) -> dict[str, str]:
    """Id -> where its identity is, of the devices whose files were built and found good.

    Devices that the command names are checked to the last byte. Without any, what can be known is checked: the rows of the product's own
    CSV, and the identity when it is the same for every device; files that the line issues later, and that CSV, may be missing then.
    Raises InputError for the first problem.
    """
    if device is None and devices is None:
        if needs_device(product):
            for row in own_devices(product) if product.devices is None or is_file(product.devices) else []:
                unit(product, row)
            return {}
        chosen: list[Device] = own_devices(product)[:1] or [single_device("any")]
        for each in chosen:
            _check(product, each)
        return {}
    return {each.id: _check(product, each) for each in choose(product, device, devices)}


def _check(product: Product, device: Device) -> str:
    certificate, key = map(is_file, files(product, device))
    where = HERE
    if product.identity.issue is not None and not key:
        where = ON_ITS_BOARD if certificate else TO_BE_MADE
        if certificate:
            load_certificate(files(product, device)[0])
    check_space(product, build(product, device, kept=Kept(_ANY) if where != HERE else None))
    return where
