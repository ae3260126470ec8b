"""Which board is which device: a board that has an identity keeps it, nobody gets a device twice."""

from __future__ import annotations

import pytest

from provisioning.config.device import Device
from provisioning.errors import InputError
from provisioning.job.assign import Bindings, FoundBoard, NotThatDevice, assign, candidates

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


def test_a_board_that_holds_another_set_than_the_ledger_says_is_refused() -> None:
    decided = assign(devices("ws-1", "ws-2"), [board(0, "ws-1"), board(1)], ledger(ws2=0))
    assert given(decided) == {"0": "mac-used", "1": "ws-1"}


@pytest.mark.parametrize(
    ("holds", "bound", "only", "macs", "names"),
    [
        (None, None, True, {}, ["ws-1", "ws-2"]),  # nothing says which: the first that is free
        (None, "ws-2", True, {}, ["ws-1", "ws-2"]),  # the ledger picks
        (None, None, True, {"ws2": MACS[0]}, ["ws-2"]),  # its own row
        (None, None, True, {"ws2": MACS[7]}, ["ws-1"]),  # another board's row
        ("ws-2", None, True, {}, ["ws-2"]),
        ("ws-2", None, True, {"ws2": MACS[0]}, ["ws-2"]),
        ("ws-2", None, True, {"ws2": MACS[7]}, None),
        ("ws-2", None, False, {"ws2": MACS[7]}, None),
        ("ws-1", None, False, {"ws2": MACS[0]}, None),  # its own row is another one
        ("ws-1", "ws-2", True, {"ws2": MACS[0]}, ["ws-2"]),
        ("zz-9", None, False, {}, ["zz-9"]),  # in the field
        ("zz-9", None, False, {"ws2": MACS[0]}, None),
        ("zz-9", None, True, {}, None),
        ("zz-9", "zz-9", True, {}, ["ws-1", "ws-2"]),  # the ledger says that it is bound
    ],
)
def test_what_a_board_may_become(holds: str | None, bound: str | None, only: bool, macs: dict[str, str], names: list[str] | None) -> None:
    rows = devices("ws-1", "ws-2", **macs)
    if names is None:
        with pytest.raises(NotThatDevice, match=f"is {holds}, and "):
            candidates(board(0, holds), rows, bound, only)
    else:
        assert candidates(board(0, holds), rows, bound, only) == names


def test_the_only_row_is_its_boards_whatever_the_order() -> None:
    assert given(assign(devices("ws-1"), [board(0), board(1, "ws-1")], Bindings())) == {"0": "no-device-left", "1": "ws-1"}


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
