"""What a board that is in its loader says of itself once it has been started: who it is, and its own report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from provisioning.config.product import Product
from provisioning.config.unit import asks_for_wifi
from provisioning.errors import BoardError
from provisioning.flash.loader_access import LoaderAccess
from provisioning.job.report import Report
from provisioning.job.selftest import selftest
from provisioning.link import question

if TYPE_CHECKING:
    from provisioning.identity.on_board import OnBoard


@dataclass(frozen=True)
class Seen:
    """`uid`: its unique id, "" when it was not asked or did not answer; `silent`: it was asked and did not; `held`: the set in use;
    `report`: its self-report, None when it has none to give."""

    uid: str = ""
    silent: bool = False
    held: OnBoard | None = None
    report: dict[str, Any] | None = None


def ask(line: LoaderAccess, product: Product, report: Report, seconds: float) -> Seen:
    """Start the board and ask it, `seconds` being for its boot. Whatever it does instead of answering is a note."""
    try:
        line.start()
        with line.repl(seconds) as repl:
            uid, held = question.who(repl, asks_for_wifi(product))
            try:
                found = selftest(repl) if held else None
            except BoardError as error:
                report.note(f"The board was asked what it holds: {error.message}")
                found = None
            repl.leave()
    except BoardError as error:
        report.note(f"The board was asked who it is: {error.message}")
        return Seen(silent=True)
    return Seen(uid, False, held, found)
