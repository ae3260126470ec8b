"""twinroot verify: read back, hash, and ask the board for its own report."""

from __future__ import annotations

from pathlib import Path

import click

from provisioning.cli._path import PATH
from provisioning.cli._port import finish, port_option, progress, transport_option


@click.command()
@click.argument("product", type=PATH, required=False)
@port_option
@transport_option
@click.option("--device", "device_id", metavar="ID", help="The unit that the board should be.")
@click.option("--connect", is_flag=True, help="Let the device make a real, verified connection as well.")
def command(product: Path | None, port: str | None, transport: str, device_id: str | None, connect: bool) -> int:
    """Check the board on PORT; with PRODUCT, that it holds exactly this product. Writes nothing."""
    from provisioning.job.verify import verify

    loaded = device = None
    if product is not None:
        from provisioning.config.load import load_product
        from provisioning.job.board_identity import Choice

        loaded = load_product(product)
        device = Choice.of(loaded, device_id, None)
    with progress() as events:
        report = verify(port, loaded, device, connect, transport=transport, events=events)
    return finish(report)
