"""What the commands for several boards share: their options, the live table, and the one result at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from provisioning.cli._output import emit, mode, say
from provisioning.errors import InputError
from provisioning.untrusted_text import one_line

if TYPE_CHECKING:
    from provisioning.job.many import PortResult, Watch
    from provisioning.link.events import Event

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

ports_option: Decorator = click.option(
    "--port",
    "ports",
    multiple=True,
    metavar="PORT",
    help="Device, rfc2217://…, socket://…, auto, mac:…, usb:SERIAL or virtual. Several at once: repeated, with commas, or a pattern "
    "such as '/dev/ttyUSB*'. Default: TWINROOT_PORT, then ESPPORT.",
)
count_option: Decorator = click.option("--count", type=click.IntRange(1), help="Several boards at once: how many there must be.")
retries_option: Decorator = click.option(
    "--retries",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="With several boards: how often one that failed by chance is tried again.",
)


def named(ports: Sequence[str]) -> tuple[str, ...]:
    """The ports that were typed, else the one of the environment (by click itself it would be split at spaces), else none."""
    from provisioning.link.port_names import default_spec

    default = default_spec()
    return tuple(ports) or ((default,) if default else ())


def several(ports: Sequence[str], count: int | None) -> bool:
    """Whether the arguments ask for several boards. It follows from what was typed, not from what is plugged in, so that a script knows
    which result it gets: one report, or a list of them."""
    return (
        count is not None or len(ports) > 1 or any("," in port or ("://" not in port and any(m in port for m in "*?[")) for port in ports)
    )


def only(ports: Sequence[str]) -> str | None:
    """The port of a command for one board."""
    return ports[0] if ports else None


def no_single_device(device_id: str | None) -> None:
    """Raises InputError: several boards cannot be one device."""
    if device_id is not None:
        raise InputError(
            "bad-arguments", f"Several boards cannot all be device {device_id}.", "Leave --device out: each board gets a row of the CSV."
        )


@contextmanager
def screen(ports: list[str]) -> Iterator[Watch]:
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
    elif event.kind in ("note", "quiet", "ledger"):
        say(f"{port}: {event.data['text']}")
    elif event.kind == "report":
        say(f"{port}: {event.data['outcome'].upper()} {event.data['message']}")
        if event.data["hint"]:
            say(f"{port}:   next: {event.data['hint']}")


def finish_all(rows: Sequence[PortResult], began: float, name: str = "reports") -> int:
    """Print the result, the rows under `name`; returns the exit code. `began`: time.monotonic() of the start."""
    from provisioning.job.many import exit_code

    bad = [row for row in rows if not row.passed]
    code = exit_code(rows)
    # How the run ended is how the board ended that most needs a person; each row says it for its own board.
    worst = next((row.report for row in bad if row.exit_code == code), {"outcome": "pass", "code": "pass", "message": "", "hint": ""})
    result = {
        **{key: worst[key] for key in ("outcome", "code", "message", "hint")},
        "passed": len(rows) - len(bad),
        "boards": len(rows),
        "seconds": round(time.monotonic() - began, 3),
        name: [row.as_dict() for row in rows],
    }
    emit(result, lambda: _table(rows, result))
    return code


def _table(rows: Sequence[PortResult], result: dict[str, Any]) -> str:
    lines = []
    for row in rows:
        report = {name: one_line(value) if isinstance(value, str) else value for name, value in row.report.items()}
        lines.append(
            f"{report['outcome'].upper():<6}{row.port:<28}{report['mac'] or '-':<19}{report['device'] or '-':<18}{report['message']}"
        )
        if not row.passed and report["hint"]:
            lines.append(f"      next: {report['hint']}")
    lines.append(f"{result['passed']} of {result['boards']} boards passed in {result['seconds']:.1f} s")
    return "\n".join(lines)
