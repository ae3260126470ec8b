"""A row of blank boards to PASS: what a worker of `station`, or of `flash` on several ports, does with its board."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from provisioning.bundle import compile as compiler
from provisioning.config.device import Device
from provisioning.config.load import load_product
from provisioning.job import many
from provisioning.job.board_identity import Choice
from provisioning.job.flash import flash
from provisioning.job.many import PortResult, Watch
from provisioning.job.plan import FlashOptions, FlashPlan
from provisioning.job.report import Report
from provisioning.link.events import Listener

if TYPE_CHECKING:
    from provisioning.flash.process import Source


@dataclass(frozen=True)
class FlashJob:
    """What a worker needs; plain values, so that it can be sent to a process that was started afresh."""

    product: Path
    devices: Path | None
    ledger: str | None
    options: FlashOptions


Ready = tuple[FlashPlan, list[Device]]  # what all boards share, loaded and checked


@dataclass(frozen=True)
class FlashTask:
    """Flash the board on a port. `ready`: what the parent has loaded and checked, where a worker can have it."""

    job: FlashJob
    ready: Ready | None
    source: Source | None = None  # where an esptool is ready, likewise
    only: str | None = None  # the one device that the board may become

    def run(self, port: str, events: Listener) -> Report:
        from provisioning.ledger.patience import Patience
        from provisioning.ledger.store import Ledger

        plan, devices = self.ready or load(self.job)
        options = self.job.options
        if self.only is not None:
            # Whoever scanned a label holds it in the hand: a board that is another device already is refused, whichever list there is.
            devices, options = [device for device in devices if device.id == self.only], replace(options, only=True)
        with Ledger.open(self.job.ledger, patience=Patience.of(events)) as ledger:
            return flash(plan, devices, port, ledger, options, events, self.source)


def station(
    job: FlashJob, plan: FlashPlan, devices: Sequence[Device], ports: Sequence[str], retries: int, watch: Watch
) -> list[PortResult]:
    """One board per port, all at once; those that failed for a reason that may pass are tried again, up to `retries` times."""
    with esptools() as source:
        prepare()
        return many.run(dict.fromkeys(ports, task(job, (plan, list(devices)), source)), retries, watch)


def task(job: FlashJob, ready: Ready | None, source: Source | None, only: str | None = None, baud: int | None = None) -> FlashTask:
    """What a worker gets: all that is ready, where it can be forked; else it loads that itself."""
    job = job if baud is None else replace(job, options=replace(job.options, baud=baud))
    return FlashTask(job, ready if many.FORKED else None, source if many.FORKED else None, only)


def prepare() -> None:
    """What is the same for all boards, made once here instead of once in each worker."""
    compiler.package(compiler.MPY_VERSION)


def esptools() -> AbstractContextManager[Source | None]:
    # Where a process can be forked, esptool starts once for all boards.
    if not many.FORKED:
        return nullcontext()
    from provisioning.flash.fork_server import ForkServer

    return ForkServer()


def load(job: FlashJob) -> Ready:
    """The product of a job, and its devices. Raises InputError, StationError."""
    product = load_product(job.product)
    return FlashPlan.of(product), list(Choice.of(product, None, job.devices).devices)
