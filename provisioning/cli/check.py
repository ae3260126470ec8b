"""`twinroot check`: is a product, with everything it names, good to go?"""

from __future__ import annotations

from pathlib import Path

import click

from provisioning.cli import _options as option
from provisioning.cli._output import emit


@click.command()
@option.product
@option.one_device("Check this device's certificate, key and size, too.")
@option.devices("A CSV: check all its devices' certificates, keys and sizes, too.")
def command(product: Path, device: str | None, devices: Path | None) -> None:
    """Check a product file and everything it names; writes nothing.

    Certificates and keys are per device: they are checked for the devices named by --device or --devices.
    """
    from provisioning.bundle.check import check_devices
    from provisioning.config.load import load_product
    from provisioning.config.summary import summary, text
    from provisioning.job import after_pass

    loaded = load_product(product)
    after_pass.check(loaded, at_station=False)
    made = summary(loaded, check_devices(loaded, device, devices))
    emit(made, lambda: text(made))
