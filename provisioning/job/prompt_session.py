"""A job's hold on a board: a raw prompt at the start, the board's own program running again at the end, whatever happens between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from provisioning.config.product import Product
from provisioning.errors import TwinrootError
from provisioning.job.report import Report
from provisioning.link import agent, board_messages, prompt_recovery
from provisioning.link.port import USUAL, Wiring, open_port
from provisioning.link.repl import RING, RawRepl

_RELEASES = 3  # times that a board is asked to leave a raised rate, about a second each


@contextmanager
def reported(report: Report) -> Iterator[None]:
    """Errors of the run end in the report, not in an exception."""
    try:
        yield
    except TwinrootError as error:
        report.failed(error)


@contextmanager
def board(port: str | None, report: Report, wiring: Wiring = USUAL) -> Iterator[RawRepl]:
    """The raw prompt of the board on `port`. `wiring`: what its lines do, as wiring_of has it."""
    agent.ready()
    with open_port(port, wiring) as wire:
        wire.events = report.listener
        repl = RawRepl(wire)
        try:
            with report.step("connect"):
                repl.enter()
                holds = [repl.hold] if repl.hold else []
                if prompt_recovery.restarted(repl):
                    holds += prompt_recovery.clear_leftovers(repl)
                for hold in holds:
                    report.note(f"What held the board: {board_messages.HOLDS[hold]}")
            yield repl
            repl.leave()
        except BaseException:
            _release(repl)
            raise
        finally:
            report.wire = wire.counters()


def wiring_of(product: Product | None) -> Wiring:
    """What the product's board file says of the port (`reset:`, `baud.repl`, `usb`), for whoever opens it."""
    if product is None:
        return USUAL
    board = product.board
    return Wiring(board.reset.lines == "released", board.reset.before != "no-reset", board.baud.repl, board.usb_ids)


def _release(repl: RawRepl) -> None:
    """Best effort after a failure: end a receiver that may still run, put the rate back, restart the board's program.

    At a raised rate nothing says when the board has taken that: it is at the old rate when it answers there. Else it was late, or this
    computer was, and is asked again.
    """
    wire = repl.wire
    try:
        raised = wire.baud
        for _ in range(_RELEASES):
            wire.baud = raised
            wire.write(b"\0" * RING + b"\x03\x03")
            wire.discard(0.1, 0.5)
            wire.baud = wire.home_baud
            if raised == wire.home_baud or repl.resume():
                break
        repl.leave()
    except TwinrootError:
        pass  # the port itself is gone: the error on its way up says so
