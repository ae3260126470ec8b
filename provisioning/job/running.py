"""A job's hold on a board: a raw prompt at the start, the board's own program running again at the end, whatever happens between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from provisioning.errors import TwinrootError
from provisioning.job.report import Report
from provisioning.link import agent
from provisioning.link.port import open_port
from provisioning.link.repl import RING, RawRepl


@contextmanager
def reported(report: Report) -> Iterator[None]:
    """Errors of the run end in the report, not in an exception."""
    try:
        yield
    except TwinrootError as error:
        report.failed(error)


@contextmanager
def board(port: str | None, report: Report) -> Iterator[RawRepl]:
    """The raw prompt of the board on `port`."""
    agent.ready()
    with open_port(port) as wire:
        wire.events = report.listener
        repl = RawRepl(wire)
        try:
            with report.step("connect"):
                repl.enter()
            yield repl
            repl.leave()
        except BaseException:
            _release(repl)
            raise
        finally:
            report.wire = wire.counters()


def _release(repl: RawRepl) -> None:
    """Best effort after a failure: end a receiver that may still run, put the rate back, restart the board's program."""
    try:
        repl.wire.write(b"\0" * RING + b"\x03\x03")
        repl.wire.discard(0.1, 0.5)
        repl.wire.baud = repl.wire.home_baud
        repl.leave()
    except TwinrootError:
        pass  # the port itself is gone: the error on its way up says so
