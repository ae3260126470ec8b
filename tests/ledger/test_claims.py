"""Two boards never share a device or a certificate; the same board gets its own again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.errors import InputError
from provisioning.ledger import claims
from provisioning.ledger.store import Ledger
from tests.support.ledger_rows import MACS, run

DEVICES = ["ws-1", "ws-2", "ws-3"]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.sqlite") as opened:
        yield opened


def test_boards_get_devices_in_order(ledger: Ledger) -> None:
    assert [run(ledger, str(n), MACS[n], DEVICES) for n in range(3)] == DEVICES
    with pytest.raises(InputError, match="All 3 devices"):
        run(ledger, "3", MACS[3], DEVICES)


def test_free_devices_are_left_to_boards_that_come_before(ledger: Ledger) -> None:
    assert run(ledger, "a", MACS[0], DEVICES, leave=1) == "ws-2"
    assert run(ledger, "b", MACS[0], DEVICES, leave=1) == "ws-2", "a board stays who it is"
    assert run(ledger, "c", MACS[1], DEVICES, leave=9) == "ws-3", "as many as there are"
    assert run(ledger, "d", MACS[2], DEVICES) == "ws-1"
    with pytest.raises(InputError, match="All 3 devices"):
        run(ledger, "e", MACS[3], DEVICES, leave=1)


@pytest.mark.parametrize("outcome", ["pass", "fail", None])
def test_the_same_board_gets_the_same_device(ledger: Ledger, outcome: str | None) -> None:
    run(ledger, "a", MACS[0], DEVICES, outcome=outcome)
    assert run(ledger, "b", MACS[1], DEVICES) == "ws-2"
    assert run(ledger, "c", MACS[0], DEVICES) == "ws-1"


def test_nothing_written_binds_nothing(ledger: Ledger) -> None:
    run(ledger, "a", MACS[0], DEVICES, outcome="error", wrote=False)
    assert run(ledger, "b", MACS[1], DEVICES) == "ws-1"
    assert run(ledger, "c", MACS[0], DEVICES) == "ws-2"


def test_a_used_serial_number_is_refused(ledger: Ledger) -> None:
    run(ledger, "a", MACS[0], ["ws-1"])
    with pytest.raises(InputError) as refused:
        run(ledger, "b", MACS[1], ["ws-1"])
    assert refused.value.code == "serial-used" and MACS[0] in refused.value.message


def test_a_used_board_is_refused(ledger: Ledger) -> None:
    run(ledger, "a", MACS[0], ["ws-1"])
    with pytest.raises(InputError) as refused:
        run(ledger, "b", MACS[0], ["ws-2"])
    assert refused.value.code == "mac-used" and "ws-1" in refused.value.message


def test_a_used_certificate_is_refused(ledger: Ledger) -> None:
    run(ledger, "a", MACS[0], ["ws-1"], cert="c" * 64)
    run(ledger, "b", MACS[0], ["ws-1"], cert="c" * 64)
    with pytest.raises(InputError) as refused:
        run(ledger, "c", MACS[1], ["ws-2"], cert="c" * 64)
    assert refused.value.code == "certificate-used"


@pytest.mark.parametrize("by", [{"mac": MACS[0], "device": None}, {"mac": None, "device": "ws-1"}])
def test_release_frees_board_device_and_certificate(ledger: Ledger, by: dict[str, str | None]) -> None:
    run(ledger, "a", MACS[0], ["ws-1"], cert="c" * 64)
    assert claims.release(ledger, "r", **by, fields={"reason": "scrapped"}) == (MACS[0], "ws-1")
    assert run(ledger, "b", MACS[1], ["ws-1"], cert="c" * 64) == "ws-1"
    assert run(ledger, "c", MACS[0], ["ws-2"]) == "ws-2"
    with pytest.raises(InputError):
        claims.release(ledger, "r", mac=MACS[9], device=None, fields={})


def test_open_attempts(ledger: Ledger) -> None:
    run(ledger, "a", MACS[0], ["ws-1"])
    run(ledger, "b", MACS[0], ["ws-1"], outcome=None)
    assert [a.id for a in claims.open_attempts(ledger, MACS[0])] == ["b"]


@pytest.mark.parametrize(("leave", "device"), [(0, "ws-2"), (1, "ws-3"), (5, "ws-3")])
def test_free_ones_are_left_to_others_if_there_are_more(ledger: Ledger, leave: int, device: str) -> None:
    run(ledger, "a", MACS[0], DEVICES)
    assert claims.claim(ledger, "b", MACS[1], DEVICES, {}, leave) == device
