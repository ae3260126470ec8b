"""What a test's report says of its boards: serial log and last events as sections that pytest shows of a failure, identity and measures as
properties, which JUnit XML has, too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from provisioning.hil.board import Board

USED = pytest.StashKey["list[Board]"]()  # on an item: the boards that its fixtures gave it
BOARD, MEASURE = "board", "measure"  # names of properties
_TAIL = 16 * 1024  # characters of a serial log in a report


class Measure(Protocol):
    """`measure(name, value)`: a figure of the test, for its report. Figures of one name are one plot; the unit is the end of the name."""

    def __call__(self, name: str, value: float) -> None: ...


def use(item: pytest.Item, board: Board) -> None:
    """`board` belongs to the test from here on."""
    boards = item.stash.setdefault(USED, [])
    if board not in boards:
        boards.append(board)


def add_measure(item: pytest.Item, name: str, value: float) -> None:
    item.user_properties.append((MEASURE, json.dumps({"name": name, "value": round(value, 4)})))


def add_identity(item: pytest.Item, identity: dict[str, Any]) -> None:
    item.user_properties.append((BOARD, json.dumps(identity)))


def add_sections(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """The sections of the phase that ends: of the test itself always, of its fixtures where they fail."""
    if call.when != "call" and call.excinfo is None:
        return
    for board in item.stash[USED]:
        name = f"{board.engine} {board.identity_known or board.hardware.port}"
        for what, text in (("serial log", board.log.text[-_TAIL:]), ("last events", "\n".join(board.log.events))):
            title = f"{what} of {name}"
            item._report_sections[:] = [row for row in item._report_sections if row[1] != title]
            if text:
                item.add_report_section(call.when, title, text)
