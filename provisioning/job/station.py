"""Many boards at once: a process per port, so that one board's failure never touches another; retries only what failed."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from provisioning.bundle import compile as compiler
from provisioning.config.device import Device, load_devices
from provisioning.config.load import load_product
from provisioning.errors import Interrupted, StationError, TwinrootError
from provisioning.job.flash import Options, Plan, flash
from provisioning.job.report import Report
from provisioning.link.events import Event

# Outcomes that another attempt may change, by code: the line, the station or chance. What the input or the chip says stays as it is.
RETRY = frozenset(
    {
        "no-answer",
        "rom-confused",
        "line-errors",
        "port-gone",
        "port-lost",
        "stub-not-started",
        "flash-mismatch",
        "esptool-silent",
        "esptool-failed",
        "worker-died",
        "board-silent",
        "board-timeout",
        "bad-answer",
        "not-as-written",
        "bad-files",
    }
)
WORKER_SECONDS = 1800.0  # without a word from a worker; the slowest board at 115200 with 16 MB takes less

Watch = Callable[[str, Event], None]


@dataclass(frozen=True)
class Job:
    """What a worker needs; plain values, so that it can be sent to a process that was started afresh."""

    product: Path
    devices: Path | None
    device: str | None
    ledger: str | None
    options: Options


@dataclass
class Row:
    """One port's result. `report` has the fields of every report; `attempts` counts the runs that led to it."""

    port: str
    attempts: int = 0
    report: dict[str, Any] = field(default_factory=dict)
    exit_code: int = 3

    @property
    def passed(self) -> bool:
        """Whether the board ended in PASS."""
        return self.report.get("outcome") == "pass"

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the report and the port."""
        return {"port": self.port, "attempts": self.attempts, **self.report}


def station(job: Job, plan: Plan, devices: Sequence[Device], ports: Sequence[str], retries: int, watch: Watch) -> list[Row]:
    """One board per port, all at once; those that failed for a reason that may pass are tried again, up to `retries` times."""
    compiler.package(compiler.MPY_VERSION)  # once here instead of once in each worker
    rows = {port: Row(port) for port in ports}
    pending = list(ports)
    while pending:
        _round(job, plan, devices, [rows[port] for port in pending], watch)
        pending = [port for port in pending if _again(rows[port], retries)]
    return list(rows.values())


def exit_code(rows: Sequence[Row]) -> int:
    """0 when all passed; else what most needs a person: the station (3), then the input (2), then a board (1)."""
    return max((row.exit_code for row in rows), default=0)


def _again(row: Row, retries: int) -> bool:
    return not row.passed and row.report.get("code") in RETRY and row.attempts <= retries


def _round(job: Job, plan: Plan, devices: Sequence[Device], rows: Sequence[Row], watch: Watch) -> None:
    # Where a process can be forked, workers have the checked product and firmware already; elsewhere they load them again.
    forked = sys.platform == "linux"
    context: Any = multiprocessing.get_context("fork" if forked else "spawn")
    workers: dict[Connection, tuple[Row, Any]] = {}
    for row in rows:
        row.attempts += 1
        ours, theirs = context.Pipe(duplex=False)
        ready = (plan, list(devices)) if forked else None
        process = context.Process(target=_work, args=(job, ready, row.port, theirs), name=f"twinroot {row.port}")
        process.start()
        theirs.close()
        workers[ours] = (row, process)
    try:
        while workers:
            heard = wait(list(workers), timeout=WORKER_SECONDS)
            if not heard:
                break
            for pipe in [pipe for pipe in workers if pipe in heard]:
                if not _hear(pipe, workers[pipe][0], watch):
                    _ended(*workers.pop(pipe))
                    pipe.close()
    finally:
        for pipe, (row, process) in workers.items():
            process.terminate()
            _ended(row, process)
            pipe.close()


def _hear(pipe: Connection, row: Row, watch: Watch) -> bool:
    """Take one message of a worker; False at its end."""
    try:
        message = pipe.recv()
    except (EOFError, OSError):
        return False
    if isinstance(message, Event):
        watch(row.port, message)
    else:
        row.report, row.exit_code = message
        watch(row.port, Event("report", row.report))
    return True


def _ended(row: Row, process: Any) -> None:
    process.join(10.0)
    if process.is_alive():
        process.kill()
        process.join(10.0)
    if not row.report or row.report.get("code") == "not-run":
        error = StationError(
            "worker-died",
            f"The process for {row.port} ended without a report (exit code {process.exitcode}).",
            "Run the command again; it goes on with this board.",
        )
        row.report, row.exit_code = Report().failed(error).as_dict(), error.exit_code


def _work(job: Job, ready: tuple[Plan, list[Device]] | None, port: str, pipe: Connection) -> None:
    """A worker: one board on one port, then its report."""
    report = Report()
    try:
        from provisioning.ledger.store import Ledger

        plan, devices = ready or _load(job)
        with Ledger.open(job.ledger) as ledger:
            report = flash(plan, devices, port, ledger, job.options, _teller(pipe))
    except TwinrootError as error:
        report.failed(error)
    except KeyboardInterrupt:
        report.failed(Interrupted("interrupted", f"The run on {port} was stopped.", "Run the same command again."))
    except Exception as error:  # noqa: BLE001  one board's surprise must be a row, not the end of the others
        report.failed(StationError("internal-error", f"The process for {port} failed: {type(error).__name__}: {error}.", "Report this."))
    _tell(pipe, (report.as_dict(), report.exit_code))
    pipe.close()


def _load(job: Job) -> tuple[Plan, list[Device]]:
    from provisioning.config.unit import choose

    product = load_product(job.product)
    return Plan.of(product), load_devices(job.devices) if job.devices else choose(product, job.device)


def _teller(pipe: Connection) -> Callable[[Event], None]:
    return lambda event: _tell(pipe, event)


def _tell(pipe: Connection, message: object) -> None:
    try:
        pipe.send(message)
    except OSError:
        return  # nobody listens any more: the board is finished all the same, and the ledger has it
