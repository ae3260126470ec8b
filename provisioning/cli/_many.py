"""What the commands for several boards share: which boards are meant, the live table, and the one result at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from provisioning.cli._output import as_object, emit, mode, say
from provisioning.errors import InputError, Interrupted, TwinrootError
from provisioning.untrusted_text import one_line

if TYPE_CHECKING:
    from provisioning.job.many import PortResult, Watch
    from provisioning.link.events import Event


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


def needs_device(new_identity: bool, device: str | None) -> None:
    """Raises InputError: a new identity is somebody's."""
    if new_identity and device is None:
        raise InputError("bad-arguments", "--new-identity is for a device that is named.", "Add --device ID.")


def no_new_identity(new_identity: bool) -> None:
    """Raises InputError: several boards do not get new identities at once."""
    if new_identity:
        raise InputError("bad-arguments", "--new-identity is for one board.", "Name one port, and the device with --device.")


@contextmanager
def screen(ports: Sequence[str]) -> Iterator[Watch]:
    """What people see while boards are written: a live table on a terminal, which is gone at the end, else one line for each step on
    standard error. Results are printed once: as they come where lines are printed, with the end's table where there was a live one."""
    if not _is_live():
        yield _line
        return
    from rich.console import Console
    from rich.live import Live

    from provisioning.cli._rows import Rows

    rows = Rows(ports)
    with Live(get_renderable=rows.table, console=Console(stderr=True), refresh_per_second=4, transient=True) as live:

        def watch(port: str, event: Event) -> None:
            beside = rows.hear(port, event)
            if beside:
                live.console.print(beside, markup=False)

        yield watch


def _is_live() -> bool:
    return sys.stderr.isatty() and not mode.json


def _line(port: str, event: Event) -> None:
    data = event.data
    if event.kind == "step":
        say(f"{port}: {data['name']}")
    elif event.kind in ("note", "quiet", "ledger"):
        say(f"{port}: {data['text']}")
    elif event.kind == "again":
        say(f"{port}: {data['outcome'].upper()} {data['message']} It is tried once more.")
    elif event.kind == "report" and mode.json:
        say(f"{port}: {data['outcome'].upper()} {data['message']}")
        if data["hint"]:
            say(f"{port}:   next: {data['hint']}")
    elif event.kind == "report":
        emit({}, result(port, data))


def finish_all(rows: Sequence[PortResult], began: float, name: str = "reports", failure: TwinrootError | None = None) -> int:
    """Print the result, the rows under `name`; returns the exit code. `began`: time.monotonic() of the start; `failure`: what ended all of
    it, where that was not a board."""
    from provisioning.job.many import exit_code

    bad = [row for row in rows if not row.passed]
    code = exit_code(rows)
    # How the run ended is how the board ended that most needs a person; each row says it for its own board.
    worst = next((row.report for row in bad if row.exit_code == code), as_object(failure))
    outcome = {
        **{key: worst[key] for key in ("outcome", "code", "message", "hint")},
        "passed": len(rows) - len(bad),
        "boards": len(rows),
        "seconds": round(time.monotonic() - began, 3),
        name: [row.as_dict() for row in rows],
    }
    emit(outcome, lambda: _table(rows, outcome))
    return code


def stopped(rows: Sequence[PortResult], began: float, name: str = "reports") -> int:
    """The same after a control-C, with exit code 130 whatever had been done by then."""
    finish_all(
        rows, began, name, Interrupted("interrupted", "Interrupted.", "Run the same command again; it goes on where this one stopped.")
    )
    return Interrupted.exit_code


def _table(rows: Sequence[PortResult], outcome: dict[str, Any]) -> str:
    lines = [result(row.port, row.report) for row in rows] if _is_live() else []
    return "\n".join([*lines, f"{outcome['passed']} of {outcome['boards']} boards passed in {outcome['seconds']:.1f} s"])


def result(port: str, report: Mapping[str, Any]) -> str:
    """A board's result for people: a line, and the next step where it did not pass."""
    shown = {name: one_line(value) if isinstance(value, str) else value for name, value in report.items()}
    line = f"{shown['outcome'].upper():<6}{port:<28}{shown['mac'] or '-':<19}{shown['device'] or '-':<18}{shown['message']}"
    return f"{line}\n      next: {shown['hint']}" if shown["outcome"] != "pass" and shown["hint"] else line
