"""`twinroot station --plan`: boards an hour, and what limits them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioning.cli._output import emit, say

if TYPE_CHECKING:
    from provisioning.job.plan import FlashPlan
    from provisioning.job.throughput import Measured, Throughput

_OPTIONS = (
    click.option("--plan", "planned", is_flag=True, help="Write nothing: boards an hour with --count slots, and what limits them."),
    click.option("--people", type=click.IntRange(1), default=1, help="With --plan: how many change boards."),
    click.option("--change", type=click.FloatRange(0), metavar="SECONDS", help="With --plan: to change a board; by default as measured."),
    click.option("--hubs", type=click.IntRange(1), default=1, help="With --plan: hubs that the slots are spread over."),
    click.option("--hub-ma", type=click.IntRange(1), metavar="MA", help="With --plan: what one hub gives to its boards."),
    click.option("--board-ma", type=click.IntRange(1), metavar="MA", help="With --plan: what a board takes while it is flashed."),
)
_LEDGER_ROWS = 5000


def plan_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--plan and what belongs to it; the command gets them as keywords, for `show`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def show(
    product: Path,
    devices: Path | None,
    slots: int,
    baud: int | None,
    location: str | None,
    *,
    people: int,
    change: float | None,
    hubs: int,
    hub_ma: int | None,
    board_ma: int | None,
) -> int:
    """Print the plan. Raises InputError, StationError."""
    from provisioning.config.load import load_product
    from provisioning.errors import InputError
    from provisioning.job.plan import FlashPlan
    from provisioning.job.throughput import BOARD_MA, Costs, Wiring, reckon

    plan = FlashPlan.of(load_product(product))
    wiring = Wiring(slots, baud or plan.product.board.baud.max, people, hubs, hub_ma, board_ma or BOARD_MA, change)
    if not wiring.at_once:
        problem = f"A hub with {hub_ma} mA has no power for one board of {wiring.board_ma} mA."
        raise InputError("bad-arguments", problem, "Correct --hub-ma.")
    measured = _of_ledger(plan, location) or _rehearsed(product, devices)
    made = reckon(measured, Costs.of(plan.firmware.content, wiring), wiring)
    about = {"product": plan.product.name, "board": plan.product.board.name, "slots": slots, "baud": wiring.baud, "people": people}
    emit({**about, **made.as_dict()}, lambda: _text(about, made))
    return 0


def _of_ledger(plan: FlashPlan, location: str | None) -> Measured | None:
    from provisioning.errors import TwinrootError
    from provisioning.job.throughput import from_rows
    from provisioning.ledger.store import Ledger

    try:
        with Ledger.open(location, create=False) as ledger:
            return from_rows(ledger.last(_LEDGER_ROWS), plan.product.name, plan.product.board.name)
    except TwinrootError as error:
        say(f"The ledger says nothing: {error.message}")
        return None


def _rehearsed(product: Path, devices: Path | None) -> Measured:
    """One board that is not there, with a line and a flash that take their time."""
    from provisioning import rehearsal
    from provisioning.config.load import load_product
    from provisioning.config.unit import choose
    from provisioning.errors import StationError
    from provisioning.job.flash import flash
    from provisioning.job.plan import FlashPlan
    from provisioning.job.throughput import from_report
    from provisioning.ledger.store import Ledger
    from provisioning.link.rehearsed import REHEARSED
    from provisioning.virtual.run import check_platform

    check_platform()
    say("The ledger has fewer than 3 boards of this product: one is rehearsed on a virtual board.")
    with rehearsal.boards("station", product, 1, paced=True, flash_timing="typical") as copy:
        loaded = load_product(copy)
        listed = None if devices is None else Path(rehearsal.mapped([str(devices)], product, copy)[0])
        with Ledger.open() as ledger:
            report = flash(FlashPlan.of(loaded), choose(loaded, None, listed), os.environ[REHEARSED], ledger)
    if report.outcome != "pass":
        raise StationError(report.code, f"The rehearsal did not pass: {report.message}", report.hint or "Correct it, then plan again.")
    return from_report(report.steps)


_MEANS = {
    "wire": "the line were infinitely fast ({wire:.1f} s at {rate:.0f} bit/s)",
    "flash": "the flash were infinitely fast ({flash:.1f} s)",
    "hub power": "hubs had power for all slots ({at_once} of {slots} work at once)",
    "people": "changing a board took no time ({change:.1f} s, {people} at it)",
    "slots": "there were one slot more",
}


def _text(about: dict[str, Any], made: Throughput) -> str:
    measured = made.measured
    figures = {
        **about,
        "wire": made.costs.wire,
        "flash": made.costs.flash,
        "rate": made.costs.rate,
        "at_once": made.at_once,
        "change": made.change,
    }
    steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in sorted(measured.steps.items(), key=lambda step: -step[1])[:5])
    source = f"median of {measured.boards} boards in the ledger" if measured.source == "ledger" else "one rehearsed board"
    line = f"{about['product']} on {about['board']}, {about['slots']} slots"
    return "\n".join(
        [
            f"{line}: {made.boards_per_hour:.0f} boards an hour, limited by {made.limit}",
            f"  a board takes {measured.seconds:.1f} s on its slot ({source}): {steps}",
            f"  {made.change:.1f} s until the next board is in the slot, {measured.attempts:.2f} attempts for a PASS",
            "  boards an hour, if",
            *(f"    {rate:8.0f}  {_MEANS[name].format(**figures)}" for name, rate in made.without.items()),
            "  assumed:",
            *(f"    {text}" for text in made.assumed),
        ]
    )
