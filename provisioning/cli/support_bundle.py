"""`twinroot support-bundle OUT.zip`: what somebody who helps needs to see, without what is secret."""

from __future__ import annotations

from pathlib import Path

import click

from provisioning.cli import _options as option
from provisioning.cli._options import PATH
from provisioning.cli._output import emit


@click.command()
@click.argument("out", type=PATH)
@click.option("--product", type=PATH, help="The product file, with its board file; values that may be secret are left out.")
@option.devices("The CSV of devices: its columns are named. Default: the product's own.")
@click.option("--rows", type=click.IntRange(0), default=500, show_default=True, help="How many of the ledger's last rows.")
@option.ledger
def command(out: Path, product: Path | None, devices: Path | None, rows: int, location: str | None) -> None:
    """Write versions, findings, configuration, the ledger's last rows and logs into one file; secrets are taken out of it."""
    from provisioning.support.bundle import Wanted, write

    names = write(out, Wanted(product, devices, location, rows))
    emit({"file": str(out), "names": names}, f"{len(names)} files in {out}; read it before you send it")
