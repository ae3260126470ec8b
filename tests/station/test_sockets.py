"""What is plugged in, and at which slot that is."""

from __future__ import annotations

from pathlib import Path

import pytest
from serial.tools.list_ports_common import ListPortInfo

from provisioning.cli.station import _ports_of
from provisioning.config.station import SlotPlace
from provisioning.errors import InputError, StationError
from provisioning.link import adapters
from provisioning.link.rehearsed import REHEARSED
from provisioning.station.bench import USUAL, sockets
from provisioning.station.sockets import Bound, Plugged, Unbound, look
from tests.support.product_files import write_product


def port(device: str, location: str | None, serial: str | None, vid: int | None = 0x10C4, pid: int = 0xEA60) -> ListPortInfo:
    made = ListPortInfo(device)
    made.location, made.serial_number, made.vid, made.pid = location, serial, vid, pid
    return made


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[ListPortInfo]:
    (tmp_path / "ttyS0").touch()
    listed = [
        port("/dev/ttyUSB0", "1-2.10", "A1"),
        port("/dev/ttyUSB1", "1-2.9:1.0", "B2"),
        port("/dev/ttyACM0", "1-3", "24:0A:C4:00:00:07", 0x303A, 0x1001),
        port("/dev/ttyS9", None, None, None),
    ]
    monkeypatch.setattr(adapters, "plugged", lambda: listed)
    return listed


def test_boards_are_listed_in_the_order_of_their_sockets(plugged: list[ListPortInfo], tmp_path: Path) -> None:
    assert [(one.device, one.location, one.native) for one in look(())] == [
        ("/dev/ttyUSB1", "1-2.9", False),
        ("/dev/ttyUSB0", "1-2.10", False),
        ("/dev/ttyACM0", "1-3", True),
    ], "and a port without a USB id is not a board"
    named = str(tmp_path / "ttyS0")
    assert named in [one.device for one in look([named])] and len(look([named, "/dev/ttyUSB0", str(tmp_path / "none")])) == 4


def test_slots_find_their_boards(plugged: list[ListPortInfo], tmp_path: Path) -> None:
    (tmp_path / "by-id").symlink_to("/dev/ttyUSB1")
    bound = Bound(
        [
            SlotPlace("1", "socket", "1-2.10"),
            SlotPlace("2", "serial", "b2"),
            SlotPlace("3", "serial", "240ac4000007"),
            SlotPlace("4", "port", str(tmp_path / "by-id")),
            SlotPlace("5", "port", "rfc2217://10.0.0.1:4000"),
            SlotPlace("6", "socket", "1-9"),
        ]
    )
    found = {name: one.device for name, one in bound.match(look(bound.ports)).items()}
    assert found == {"1": "/dev/ttyUSB0", "2": "/dev/ttyUSB1", "3": "/dev/ttyACM0", "4": "/dev/ttyUSB1", "5": "rfc2217://10.0.0.1:4000"}
    assert bound.fixed == {"5"}


def test_slots_from_the_command_line(plugged: list[ListPortInfo]) -> None:
    named = sockets(None, ["COM5,usbpath:1-2.3", "/dev/ttyUSB0"], None, frozenset())
    assert isinstance(named, Bound) and named.names == ["1", "2", "3"] and named.ports == ["COM5", "/dev/ttyUSB0"]
    anything = sockets(None, ["auto"], None, frozenset())
    assert isinstance(anything, Unbound) and len(anything.names) == USUAL
    assert sockets(None, [], 3, frozenset()).names == ["1", "2", "3"]
    with pytest.raises(StationError) as few:
        sockets(None, ["COM5"], 2, frozenset())
    assert few.value.code == "too-few-boards"
    with pytest.raises(InputError) as wrong:
        sockets(None, ["usbpath:hub"], None, frozenset())
    assert wrong.value.code == "bad-port"


def test_a_station_file_without_the_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, there = tmp_path / "line1.yaml", tmp_path / "ports"
    file.write_text("slots:\n  - {name: 1, port: usbpath:1-1}\n  - {name: 2, port: usbpath:1-2}\n  - {name: 3, port: usbpath:1-3}\n")
    monkeypatch.setenv(REHEARSED, f"@{there}")
    product = write_product(tmp_path)
    with pytest.raises(StationError) as none:
        _ports_of(file, product)
    assert none.value.code == "no-board"
    there.write_text("rfc2217://127.0.0.1:3 1-3\nrfc2217://127.0.0.1:1 1-1 0001\n")
    assert look(()) == [Plugged("rfc2217://127.0.0.1:3", "1-3"), Plugged("rfc2217://127.0.0.1:1", "1-1", "0001")]
    assert _ports_of(file, product) == ("rfc2217://127.0.0.1:1", "rfc2217://127.0.0.1:3"), "in the order of the slots"
