"""The progress that commands with one board show to people, and the report at their end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from provisioning.cli._output import emit, mode, say
from provisioning.errors import TwinrootError
from provisioning.link.events import Event, Listener
from provisioning.untrusted_text import one_line

if TYPE_CHECKING:
    from provisioning.job.journal import Journal
    from provisioning.job.report import Report


def _quiet(event: Event) -> None:
    if event.kind in ("quiet", "ledger"):
        say(event.data["text"])


_journals: list[Journal] = []  # of the job that this command runs; `finish` ends it


@contextmanager
def progress() -> Iterator[Listener]:
    """A listener that shows what a job tells to people, and writes it to the board's log."""
    from provisioning.job.journal import Journal

    with _shown() as shown:
        journal = Journal(mode.command, None)
        _journals.append(journal)
        try:
            yield journal.beside(shown)
        except BaseException as error:
            _journals.remove(journal)
            code = error.code if isinstance(error, TwinrootError) else type(error).__name__
            journal.end({"outcome": "error", "code": code, "message": str(error)})
            raise


@contextmanager
def _shown() -> Iterator[Listener]:
    """A listener that draws a progress bar on a terminal; elsewhere it only tells when a board gives no sign of life, or the ledger."""
    if not sys.stderr.isatty():
        yield _quiet
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("connect", total=None)

        def listen(event: Event) -> None:
            if event.kind == "step":
                bar.update(task, description=event.data["name"])
            elif event.kind == "bytes":
                bar.update(task, completed=event.data["done"], total=event.data["total"])
            elif event.kind in ("note", "quiet", "ledger"):
                console.print(one_line(event.data["text"]), markup=False)

        yield listen


def text_of(report: Report) -> str:
    """The report for people: outcome, where, what, how long."""
    return "\n".join([f"{report.outcome.upper()}  {report.message}", *_details(report)])


def _details(report: Report) -> list[str]:
    lines = []
    if report.mac or report.board:
        where = (("board", report.board), ("chip", report.chip), ("mac", report.mac), ("device", report.device))
        lines.append(one_line("  " + "  ".join(f"{name} {value}" for name, value in where if value)))
    wire = report.wire
    if report.transport and "sent" in wire:  # a flash run that broke off early has not counted yet
        files = f"{len(report.written)} files {'would be ' if report.code == 'dry-run' else ''}written"
        passed = f"{wire['sent']} bytes out, {wire['received']} in, {wire['turns']} direction changes, {wire['seconds']:.2f} s"
        lines.append(f"  {report.transport}: {passed}; {files}")
    return lines


def finish(report: Report) -> int:
    """Print the report; returns the exit code. A failure is told on standard error; standard output is for results, and for --json."""
    while _journals:
        _journals.pop().end(report.as_dict())
    passed = report.outcome == "pass"
    if passed or mode.json:
        emit(report.as_dict(), lambda: text_of(report))
    if not passed:
        say(f"twinroot: {report.message}")
        if report.hint:
            say(f"  next: {report.hint}")
        for line in [] if mode.json else _details(report):
            say(line)
    if not (mode.json or sys.stderr.isatty()):  # a terminal had them with the progress
        for note in report.notes:
            say(f"  note: {note}")
    return report.exit_code
