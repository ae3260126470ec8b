"""`twinroot flash PRODUCT.yaml`: a blank board to PASS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from provisioning.cli._port import finish, one_device, port_option, progress
from provisioning.cli.ledger import ledger_option

if TYPE_CHECKING:
    from provisioning.config.device import Device


@click.command()
@click.argument("product", type=click.Path(path_type=Path))
@port_option
@click.option("--device", "device_id", metavar="ID", help="The unit: a name for the product file's {device}, or a row of its CSV.")
@click.option("--devices", type=click.Path(path_type=Path), help="A CSV; the board gets the row it had before, or the first free one.")
@click.option("--baud", type=int, metavar="RATE", help="Exactly this rate; by default the highest that works is found and remembered.")
@click.option("--allow", type=click.Path(path_type=Path), help="A list of MACs, one a line; every other board is refused.")
@ledger_option
def command(
    product: Path,
    port: str | None,
    device_id: str | None,
    devices: Path | None,
    baud: int | None,
    allow: Path | None,
    location: str | None,
) -> int:
    """Firmware, partition table and file system in one session; then the board starts, and its own report ends the run.

    Refused before the first write: wrong chip, revision or flash size, a locked chip, a board or device that the ledger knows otherwise,
    a firmware file that is not the one the board file means.
    """
    from provisioning.config.load import load_product
    from provisioning.config.unit import choose
    from provisioning.job.allow import allowed_macs
    from provisioning.job.flash import Options, Plan, flash, one_of
    from provisioning.ledger.store import Ledger

    loaded = load_product(product)
    units: list[Device] = choose(loaded, device_id, devices) if devices else [one_device(loaded, device_id)]
    plan = Plan.of(loaded)
    if len(units) == 1:
        one_of(plan, units[0])
    options = Options(allowed=allowed_macs(allow, units), baud=baud)
    with Ledger.open(location) as ledger, progress() as events:
        report = flash(plan, units, port, ledger, options, events)
    return finish(report)
