"""twinroot update: write a product to a board that runs MicroPython."""

from __future__ import annotations

from pathlib import Path

import click

from provisioning.cli._port import finish, one_device, port_option, progress, transport_option


@click.command()
@click.argument("product", type=click.Path(path_type=Path))
@port_option
@transport_option
@click.option("--device", "device_id", metavar="ID", help="The unit: a name for the product file's {device}, or a row of its CSV.")
@click.option("--dry-run", is_flag=True, help="Say what would be written; write nothing.")
@click.option(
    "--baud",
    "max_baud",
    type=click.IntRange(min=1),
    metavar="RATE",
    help="Highest rate for the transfer; default: the board file's baud.max.",
)
def command(product: Path, port: str | None, transport: str, device_id: str | None, dry_run: bool, max_baud: int | None) -> int:
    """Write PRODUCT to the board on PORT: what is missing is sent, hashes are read back, one rename makes it active."""
    from provisioning.config.load import load_product
    from provisioning.job.update import update

    loaded = load_product(product)
    device = one_device(loaded, device_id)
    with progress() as events:
        report = update(loaded, device, port, transport=transport, dry_run=dry_run, max_baud=max_baud, events=events)
    return finish(report)
