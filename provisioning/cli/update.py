"""twinroot update: write a product to a board that runs MicroPython, or to several at once."""

from __future__ import annotations

import time
from pathlib import Path

import click

from provisioning.cli import _options as option
from provisioning.cli._many import finish_all, named, needs_device, no_new_identity, no_single_device, only, screen, several, stopped
from provisioning.cli._port import finish, progress


@click.command()
@option.product
@option.ports
@option.count
@option.transport
@option.one_device()
@option.devices()
@option.new_identity
@click.option("--dry-run", is_flag=True, help="Say what would be written; write nothing.")
@click.option(
    "--baud",
    "max_baud",
    type=click.IntRange(min=1),
    metavar="RATE",
    help="Highest rate for the transfer; default: the board file's baud.max.",
)
@option.retries
@option.ledger
def command(
    product: Path,
    ports: tuple[str, ...],
    count: int | None,
    transport: str,
    device: str | None,
    devices: Path | None,
    new_identity: bool,
    dry_run: bool,
    max_baud: int | None,
    retries: int,
    location: str | None,
) -> int:
    """Write PRODUCT to the board on PORT: what is missing is sent, hashes are read back, one rename makes it active.

    A board that holds a set stays the device that it is, and keeps its certificate and key: neither --device nor their files are needed.
    A board without an identity gets --device, or the first row of the CSV that is free by the ledger, which promises it to that board.
    """
    from provisioning.config.load import load_product
    from provisioning.job.update_task import UpdateJob, UpdateTask

    loaded = load_product(product)
    ports = named(ports)
    job = UpdateJob(product, devices, location, transport, dry_run, max_baud)
    if not several(ports, count):
        from provisioning.job.board_identity import Choice

        needs_device(new_identity, device)
        choice = Choice.of(loaded, device, devices)
        with progress() as events:
            if new_identity and choice.device:
                from provisioning.job.renew import renew

                return finish(renew(loaded, choice.device, only(ports), job, events))
            return finish(UpdateTask(job, choice, ready=loaded).run(only(ports), events))
    from provisioning.job.many import Stopped
    from provisioning.job.ports import expand
    from provisioning.job.update_many import update_many

    no_new_identity(new_identity)
    no_single_device(device)
    began = time.monotonic()
    found = expand(ports or ("auto",), count, loaded.board.usb_ids)
    try:
        with screen(found) as watch:
            rows = update_many(job, loaded, found, retries, watch)
    except Stopped as end:
        return stopped(end.rows, began)
    return finish_all(rows, began)
