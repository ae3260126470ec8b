"""twinroot verify: read back, hash, and ask the board for its own report."""

from __future__ import annotations

from pathlib import Path

import click

from provisioning.cli import _options as option
from provisioning.cli._options import PATH
from provisioning.cli._port import finish, progress


@click.command()
@click.argument("product", type=PATH, required=False)
@option.port
@option.transport
@option.one_device("The unit that the board should be.")
@click.option("--connect", is_flag=True, help="Let the device make a real, verified connection as well.")
def command(product: Path | None, port: str | None, transport: str, device: str | None, connect: bool) -> int:
    """Check the board on PORT; with PRODUCT, that it holds exactly this product. Writes nothing."""
    from provisioning.job.verify import verify

    loaded = choice = None
    if product is not None:
        from provisioning.config.load import load_product
        from provisioning.job.board_identity import Choice

        loaded = load_product(product)
        choice = Choice.of(loaded, device, None)
    with progress() as events:
        report = verify(port, loaded, choice, connect, transport=transport, events=events)
    return finish(report)
