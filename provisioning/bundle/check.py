"""Checks the devices of a product without a board and without writing."""

from __future__ import annotations

from pathlib import Path

from provisioning.bundle.bundle import build
from provisioning.bundle.room import check_room
from provisioning.config.device import Device, single_device
from provisioning.config.product import Product
from provisioning.config.unit import choose, needs_device, own_devices, unit


def check_devices(product: Product, device: str | None = None, devices: Path | None = None) -> list[str]:
    """Ids of the devices whose files were built and found good.

    Devices that the command names are checked to the last byte. Without any, what can be known is checked: the rows of the product's own
    CSV, and the identity when it is the same for every device; files that the line issues later may be missing then.
    Raises InputError for the first problem.
    """
    if device is None and devices is None:
        if needs_device(product):
            for row in own_devices(product):
                unit(product, row)
            return []
        chosen: list[Device] = own_devices(product)[:1] or [single_device("any")]
        for each in chosen:
            check_room(product, build(product, each))
        return []
    chosen = choose(product, device, devices)
    for each in chosen:
        check_room(product, build(product, each))
    return [each.id for each in chosen]
