"""`twinroot station PRODUCT.yaml --devices CSV`: a row of boards at once, for people and for programs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provisioning.cli._ledger_option import ledger_option
from provisioning.cli._many import finish_all, retries_option, screen
from provisioning.cli._path import PATH

if TYPE_CHECKING:
    from provisioning.job.many import PortResult


@click.command()
@click.argument("product", type=PATH)
@click.option("--devices", type=PATH, help="The CSV of devices; default: the product's own.")
@click.option(
    "--ports", "--port", "ports", multiple=True, metavar="PORT", help="Ports: several, with commas, a pattern, or auto (default)."
)
@click.option("--count", type=click.IntRange(1), help="How many boards there must be.")
@retries_option
@click.option("--baud", type=int, metavar="RATE", help="Exactly this rate; by default the highest that works is found and remembered.")
@click.option("--allow", type=PATH, help="A list of MACs, one a line; every other board is refused.")
@click.option("--rounds", type=click.IntRange(1), default=1, show_default=True, help="How often the boards are changed for new ones.")
@ledger_option
def command(
    product: Path,
    devices: Path | None,
    ports: tuple[str, ...],
    count: int | None,
    retries: int,
    baud: int | None,
    allow: Path | None,
    rounds: int,
    location: str | None,
) -> int:
    """Flash one board per port, all at once. A board that has a device already gets the same one again; two boards never do."""
    return flash_row(product, devices, ports or ("auto",), count, retries, baud, allow, location, rounds=rounds, name="rows")


def flash_row(
    product: Path,
    devices: Path | None,
    ports: tuple[str, ...],
    count: int | None,
    retries: int,
    baud: int | None,
    allow: Path | None,
    location: str | None,
    *,
    rounds: int = 1,
    name: str = "reports",
) -> int:
    """Flash the boards on `ports`, print the result with its rows under `name`, and return the exit code."""
    from provisioning.config.load import load_product
    from provisioning.config.unit import choose
    from provisioning.job.allow import allowed_macs
    from provisioning.job.plan import FlashOptions, FlashPlan
    from provisioning.job.ports import expand
    from provisioning.job.station import FlashJob, station
    from provisioning.ledger.store import Ledger

    loaded = load_product(product)
    units = choose(loaded, None, devices)
    plan = FlashPlan.of(loaded)
    options = FlashOptions(allowed=allowed_macs(allow, units), baud=baud, only=devices is not None)
    Ledger.open(location).close()
    job = FlashJob(product, devices, location, options)
    rows: list[PortResult] = []
    began = time.monotonic()
    for number in range(rounds):
        if number and not _changed():
            break
        found = expand(ports, count, loaded.board.usb_ids)
        with screen(found) as watch:
            rows += station(job, plan, units, found, retries, watch)
    return finish_all(rows, began, name)


def _changed() -> bool:
    """Ask the technician to change the boards; False ends the session."""
    if not sys.stdin.isatty():
        return False
    return click.confirm("Change the boards. Go on?", default=True, err=True)
