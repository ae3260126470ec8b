"""`twinroot flash PRODUCT.yaml`: a blank board to PASS."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provisioning.cli import _options as option
from provisioning.cli._many import named, needs_device, no_new_identity, no_single_device, only, several
from provisioning.cli._output import emit, say
from provisioning.cli._port import finish, progress
from provisioning.cli.station import flash_row
from provisioning.errors import InputError

if TYPE_CHECKING:
    from provisioning.config.board_type import BoardType
    from provisioning.config.product import Product
    from provisioning.job.security import ChipSecurity


@click.command()
@option.product
@option.ports
@option.count
@option.one_device()
@option.devices("A CSV; the board gets the row it had before, or the first free one.")
@option.new_identity
@option.flash_baud
@option.allow
@click.option("--efuses", is_flag=True, help="Only show the chip's security fuses. Reads, and writes nothing.")
@click.option(
    "--burn-efuses",
    is_flag=True,
    help="Only burn what the board file's `security` block asks for, for ever: shows it, then asks for a sentence on the terminal.",
)
@option.retries
@option.ledger
def command(
    product: Path,
    ports: tuple[str, ...],
    count: int | None,
    device: str | None,
    devices: Path | None,
    new_identity: bool,
    baud: int | None,
    allow: Path | None,
    efuses: bool,
    burn_efuses: bool,
    retries: int,
    location: str | None,
) -> int:
    """Firmware, partition table and file system in one session; then the board starts, and its own report ends the run.

    Refused before the first write: wrong chip, revision or flash size, a locked chip, a board or device that the ledger knows otherwise,
    a firmware file that is not the one the board file means. A board that has an identity keeps it, and its key stays on it.
    """
    from provisioning.config.load import load_product

    loaded = load_product(product)
    ports = named(ports)
    many = several(ports, count)
    if efuses or burn_efuses:
        if many:
            raise InputError("bad-arguments", "Fuses are shown and burned one board at a time.", "Name one port.")
        return _burn(loaded.board, only(ports), location) if burn_efuses else _show(look(loaded.board, only(ports)))
    if many:
        no_new_identity(new_identity)
        no_single_device(device)
        return flash_row(product, devices, ports or ("auto",), count, retries, baud, allow, location)
    needs_device(new_identity, device)
    return _one(loaded, only(ports), device, devices, new_identity, baud, allow, location)


def _one(
    product: Product,
    port: str | None,
    device: str | None,
    devices: Path | None,
    new_identity: bool,
    baud: int | None,
    allow: Path | None,
    location: str | None,
) -> int:
    from provisioning.job.allow import allowed_macs
    from provisioning.job.board_identity import Choice
    from provisioning.job.flash import flash
    from provisioning.job.plan import FlashOptions, FlashPlan, one_of
    from provisioning.ledger.opening import Opening

    choice = Choice.of(product, device, devices)
    units = choice.devices
    plan = FlashPlan.of(product)
    if len(units) == 1:
        one_of(plan, units[0])
    named_here = device is not None or choice.only
    options = FlashOptions(allowed=allowed_macs(allow, units), baud=baud, only=named_here, new_identity=new_identity)
    with progress() as events, Opening(location, events) as ledger:
        report = flash(plan, units, port, ledger, options, events)
    return finish(report)


def look(board: BoardType, port: str | None) -> ChipSecurity:
    """The chip at the port, its fuses read only."""
    from provisioning.job import security
    from provisioning.link.port_names import resolve

    return security.look(board, resolve(port, board.usb_ids))


def _show(chip: ChipSecurity) -> int:
    found = chip.fuses()
    emit({"mac": chip.mac, "chip": chip.name, "fuses": found}, "\n".join(f"{name:<30}{value}" for name, value in found.items()))
    return 0


def _burn(board: BoardType, port: str | None, location: str | None) -> int:
    """Show what would be burned, and burn it when a person types the sentence."""
    from provisioning.job.evidence import Evidence
    from provisioning.job.prompt_session import reported
    from provisioning.job.report import Report
    from provisioning.job.security import Burn

    if not sys.stdin.isatty():
        raise InputError(
            "not-confirmed",
            "Nothing was burned: the confirmation is typed by a person, and standard input is no terminal.",
            "Run the command on a terminal.",
        )
    chip = look(board, port)
    burn = Burn.of(board, chip)
    say(f"To be burned into {chip.mac} ({chip.name} {chip.revision}), and never to be taken back:")
    for step in burn.steps:
        say(f"  {step.what}: {' '.join(step.arguments)}")
    for path in burn.keys.values():
        say(f"  key file: {path}{'' if path.exists() else ' (will be made)'}")
    if board.security.flash_encryption:
        say("Stock MicroPython is not encrypted and will not start on this chip afterwards; only images encrypted with this key will.")
    typed = click.prompt(f"Type '{burn.sentence}'", default="", show_default=False, err=True)
    report = Report(mac=chip.mac, chip=chip.name, board=board.name)
    with Evidence("burn-efuses", location, port=port) as evidence, reported(report):
        if typed == burn.sentence:
            evidence.before(report)
        burn.go(typed)
        report.passed(f"Burned into {chip.mac}: {', '.join(step.what for step in burn.steps)}.")
    return _show(chip) if report.outcome == "pass" else finish(report)
