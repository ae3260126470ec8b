"""Which board is which device: a board that has an identity keeps it, nobody gets a device twice."""

from __future__ import annotations

import pytest

from provisioning.config.device import Device
from provisioning.errors import InputError
from provisioning.job.assign import Bindings, FoundBoard, assign

MACS = [f"24:0a:c4:00:00:{n:02x}" for n in range(8)]


def devices(*names: str, **macs: str) -> list[Device]:
    return [Device(name, {"device": name, "mac": macs.get(name.replace("-", ""), "")}, "devices.csv:2") for name in names]


def board(n: int, holds: str | None = None) -> FoundBoard:
    return FoundBoard(f"/dev/ttyUSB{n}", MACS[n], holds)


def ledger(**bound: int) -> Bindings:
    """ws1=3: the ledger binds ws-1 to board 3."""
    named = {name.replace("ws", "ws-"): MACS[n] for name, n in bound.items()}
    return Bindings({mac: device for device, mac in named.items()}.get, named.get)


def given(decided: object) -> dict[str, str]:
    assert isinstance(decided, dict)
    return {port[-1]: one.code if isinstance(one, InputError) else one.id for port, one in decided.items()}


def test_boards_without_a_set_get_the_free_rows_in_order() -> None:
    assert given(assign(devices("ws-1", "ws-2", "ws-3"), [board(0), board(1)], Bindings())) == {"0": "ws-1", "1": "ws-2"}


def test_a_board_that_is_somebody_comes_first_whatever_the_order() -> None:
    boards = [board(0), board(1, "ws-1"), board(2)]
    assert given(assign(devices("ws-1", "ws-2", "ws-3"), boards, Bindings())) == {"0": "ws-2", "1": "ws-1", "2": "ws-3"}


def test_the_ledger_is_believed_more_than_the_board() -> None:
    decided = assign(devices("ws-1", "ws-2"), [board(0, "ws-1"), board(1)], ledger(ws2=0))
    assert given(decided) == {"0": "ws-2", "1": "ws-1"}


def test_a_device_of_a_board_that_is_elsewhere_is_not_free() -> None:
    decided = assign(devices("ws-1", "ws-2"), [board(0), board(1)], ledger(ws1=7))
    assert given(decided) == {"0": "ws-2", "1": "no-device-left"}


def test_a_row_with_a_mac_is_for_that_board_and_for_no_other() -> None:
    rows = devices("ws-1", "ws-2", ws1=MACS[5].upper())
    assert given(assign(rows, [board(0), board(5)], Bindings())) == {"0": "ws-2", "5": "ws-1"}
    assert given(assign(rows, [board(0, "ws-1")], Bindings())) == {"0": "other-device"}


@pytest.mark.parametrize(
    ("boards", "bindings", "code"),
    [
        ([board(0, "ws-1"), board(1, "ws-1")], Bindings(), "serial-used"),  # a copy of a board
        ([board(1, "ws-1")], ledger(ws1=7), "serial-used"),  # a copy of one that is elsewhere
        ([board(0), FoundBoard("/dev/ttyUSB1", MACS[0], None)], Bindings(), "board-twice"),  # two ways to one board
        ([board(1, "zz-9")], Bindings(), "other-device"),
        ([board(1)], ledger(ws9=1), "mac-used"),
    ],
)
def test_what_must_not_be_written(boards: list[FoundBoard], bindings: Bindings, code: str) -> None:
    decided = assign(devices("ws-1", "ws-2"), boards, bindings)
    assert given(decided)["1"] == code
    error = decided["/dev/ttyUSB1"]
    assert isinstance(error, InputError) and "/dev/ttyUSB1" in error.message and error.hint
