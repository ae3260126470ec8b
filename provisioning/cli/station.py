"""`twinroot station PRODUCT.yaml --devices CSV`: a row of boards at once, for people and for programs."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioning.cli import _options as option
from provisioning.cli._many import finish_all, screen, stopped
from provisioning.cli._options import PATH
from provisioning.cli._output import mode, show
from provisioning.cli._plan import plan_options
from provisioning.config.document import shown
from provisioning.errors import StationError

if TYPE_CHECKING:
    from provisioning.job.many import PortResult


@click.command()
@option.product
@option.devices()
@click.option(
    "--ports", "--port", "ports", multiple=True, metavar="PORT", help="Ports: several, with commas, a pattern, or auto (default)."
)
@click.option("--count", type=click.IntRange(1), help="How many boards there must be.")
@option.retries
@option.flash_baud
@option.allow
@click.option(
    "--rounds", type=click.IntRange(1), default=1, show_default=True, help="Without the screen: how often the boards are changed."
)
@click.option(
    "--slots", "file", type=PATH, metavar="FILE", help="The station file: which socket or adapter is which slot; instead of --ports."
)
@click.option("--plain", is_flag=True, help="Lines instead of the screen, as where there is no terminal.")
@click.option("--engineer", is_flag=True, help="Settings may be changed on the screen.")
@plan_options
@option.ledger
def command(
    product: Path,
    devices: Path | None,
    ports: tuple[str, ...],
    count: int | None,
    retries: int,
    baud: int | None,
    allow: Path | None,
    rounds: int,
    file: Path | None,
    plain: bool,
    engineer: bool,
    location: str | None,
    planned: bool,
    **wiring: Any,
) -> int:
    """Flash one board per port, all at once. A board that has a device already gets the same one again; two boards never do.

    On a terminal it is a screen of slots: plug a board in and it starts, unplug it and the slot is free, until Q or control-C ends it.
    """
    if planned:
        from provisioning.cli._plan import show as show_plan

        return show_plan(product, devices, count or 1, baud, location, **wiring)
    if not plain and not mode.json and _is_terminal():
        return _on_screen(product, devices, ports, count, retries, baud, allow, location, file, engineer)
    if file is not None:
        ports = _ports_of(file, product)
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
    from provisioning.job.allow import allowed_macs
    from provisioning.job.board_identity import Choice
    from provisioning.job.many import Finished, Stopped
    from provisioning.job.plan import FlashOptions, FlashPlan
    from provisioning.job.ports import expand
    from provisioning.job.station import FlashJob, station
    from provisioning.ledger.store import Ledger

    loaded = load_product(product)
    choice = Choice.of(loaded, None, devices)
    units = choice.devices
    plan = FlashPlan.of(loaded)
    options = FlashOptions(allowed=allowed_macs(allow, units), baud=baud, only=choice.only)
    Ledger.open(location).close()
    job = FlashJob(product, devices, location, options)
    rows: list[PortResult] = []
    began = time.monotonic()
    for number in range(rounds):
        if number and not _changed():
            break
        found = expand(ports, count, loaded.board.usb_ids)
        try:
            with screen(found) as watch:
                rows += map(Finished, station(job, plan, units, found, retries, watch))
        except Stopped as end:
            return stopped([*rows, *end.rows], began, name)
    return finish_all(rows, began, name)


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _ports_of(file: Path, product: Path) -> tuple[str, ...]:
    """The ports that are at the slots of the station file now, in its order."""
    from provisioning.config.load import load_product
    from provisioning.config.station import load_slots
    from provisioning.station.sockets import Bound, look

    bound = Bound(load_slots(file))
    found = bound.match(look(bound.ports, load_product(product).board.usb_ids))
    if not found:
        raise StationError("no-board", f"No board is plugged in at a slot of {shown(file)}.", "`twinroot doctor` lists the ports.")
    return tuple(found[name].device for name in bound.names if name in found)


def _on_screen(
    product: Path,
    devices: Path | None,
    ports: tuple[str, ...],
    count: int | None,
    retries: int,
    baud: int | None,
    allow: Path | None,
    location: str | None,
    file: Path | None,
    engineer: bool,
) -> int:
    """The screen until a person ends it; then how each board was left, and the shift's exit code."""
    from provisioning.config.load import load_product
    from provisioning.config.unit import choose
    from provisioning.job.allow import allowed_macs
    from provisioning.job.many import exit_code
    from provisioning.job.plan import FlashOptions, FlashPlan
    from provisioning.job.station import FlashJob
    from provisioning.ledger.store import Ledger
    from provisioning.station.bench import sockets
    from provisioning.station.engine import Settings
    from provisioning.station.session import run
    from provisioning.station.summary import lines_of

    loaded = load_product(product)
    units = choose(loaded, None, devices)
    plan = FlashPlan.of(loaded)
    options = FlashOptions(allowed=allowed_macs(allow, units), only=devices is not None)
    Ledger.open(location).close()
    bench = sockets(file, ports, count, loaded.board.usb_ids)
    settings = Settings(retries, baud, locked=not engineer)
    began = time.monotonic()
    engine = run(FlashJob(product, devices, location, options), (plan, units), bench, settings, time.monotonic)
    counts = engine.counts
    for line in lines_of(engine):
        show(line)
    passed = counts.count("pass")
    show(f"{passed} of {len(counts.rows)} boards passed in {(time.monotonic() - began) / 60:.0f} min")
    return exit_code(list(counts.rows.values()))


def _changed() -> bool:
    """Ask the technician to change the boards; False ends the session."""
    if not sys.stdin.isatty():
        return False
    return click.confirm("Change the boards. Go on?", default=True, err=True)
