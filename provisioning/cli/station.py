"""`twinroot station PRODUCT.yaml --devices CSV`: a row of boards at once, for people and for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioning.cli._output import emit, mode, say
from provisioning.cli.ledger import ledger_option

if TYPE_CHECKING:
    from provisioning.job.station import Row, Watch
    from provisioning.link.events import Event


@click.command()
@click.argument("product", type=click.Path(path_type=Path))
@click.option("--devices", type=click.Path(path_type=Path), help="The CSV of devices; default: the product's own.")
@click.option(
    "--ports", "--port", "ports", multiple=True, metavar="PORT", help="Ports: several, with commas, a pattern, or auto (default)."
)
@click.option("--count", type=click.IntRange(1), help="How many boards there must be.")
@click.option(
    "--retries", type=click.IntRange(0), default=1, show_default=True, help="How often a board that failed by chance is tried again."
)
@click.option("--baud", type=int, metavar="RATE", help="Exactly this rate; by default the highest that works is found and remembered.")
@click.option("--allow", type=click.Path(path_type=Path), help="A list of MACs, one a line; every other board is refused.")
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
    from provisioning.config.load import load_product
    from provisioning.config.unit import choose
    from provisioning.job.allow import allowed_macs
    from provisioning.job.flash import Options, Plan
    from provisioning.job.ports import expand
    from provisioning.job.station import Job, exit_code, station
    from provisioning.ledger.store import Ledger

    loaded = load_product(product)
    units = choose(loaded, None, devices)
    plan = Plan.of(loaded)
    options = Options(allowed=allowed_macs(allow, units), baud=baud)
    Ledger.open(location).close()
    job = Job(product, devices or loaded.devices, None, location, options)
    rows: list[Row] = []
    started = time.monotonic()
    for number in range(rounds):
        if number and not _changed():
            break
        found = expand(ports or ("auto",), count)
        with _screen(found) as watch:
            rows += station(job, plan, units, found, retries, watch)
    passed = sum(row.passed for row in rows)
    result = {
        "outcome": "pass" if passed == len(rows) else "fail",
        "passed": passed,
        "boards": len(rows),
        "seconds": round(time.monotonic() - started, 3),
        "rows": [row.as_dict() for row in rows],
    }
    emit(result, lambda: _table(rows, result))
    return exit_code(rows)


def _changed() -> bool:
    """Ask the technician to change the boards; False ends the session."""
    if not sys.stdin.isatty():
        return False
    return click.confirm("Change the boards. Go on?", default=True, err=True)


@contextmanager
def _screen(ports: list[str]) -> Iterator[Watch]:
    """A live table on a terminal; elsewhere one line per step and result on standard error."""
    if not sys.stderr.isatty() or mode.json:
        yield _line
        return
    from rich.console import Console
    from rich.live import Live

    from provisioning.cli._rows import Rows

    rows = Rows(ports)
    with Live(get_renderable=rows.table, console=Console(stderr=True), refresh_per_second=4) as live:

        def watch(port: str, event: Event) -> None:
            beside = rows.hear(port, event)
            if beside:
                live.console.print(beside, markup=False)

        yield watch


def _line(port: str, event: Event) -> None:
    if event.kind == "step":
        say(f"{port}: {event.data['name']}")
    elif event.kind == "note":
        say(f"{port}: {event.data['text']}")
    elif event.kind == "report":
        say(f"{port}: {event.data['outcome'].upper()} {event.data['message']}")
        if event.data["hint"]:
            say(f"{port}:   next: {event.data['hint']}")


def _table(rows: list[Row], result: dict[str, Any]) -> str:
    lines = []
    for row in rows:
        report = row.report
        lines.append(
            f"{report['outcome'].upper():<6}{row.port:<28}{report['mac'] or '-':<19}{report['device'] or '-':<18}{report['message']}"
        )
        if not row.passed and report["hint"]:
            lines.append(f"      next: {report['hint']}")
    lines.append(f"{result['passed']} of {result['boards']} boards passed in {result['seconds']:.1f} s")
    return "\n".join(lines)
