"""What an operating system's list of ports would say of a virtual board that is its own USB device."""

from __future__ import annotations

import json

import pytest
from serial.tools.list_ports_common import ListPortInfo

from provisioning.link import adapters
from provisioning.virtual import VirtualBoard


def listed(board: VirtualBoard, way: str) -> list[ListPortInfo]:
    """The board's port, if it is there. `way`: "pty", or "rfc2217" where control lines are needed: it stands for a local port then."""
    try:
        found = json.loads((board.state / "usb.json").read_text("utf-8"))
    except FileNotFoundError:
        return []
    port = ListPortInfo(found[way])
    port.vid, port.pid, port.serial_number, port.location = found["vid"], found["pid"], found["serial"], found["location"]
    port.description = "USB"
    return [port]


def plug_in(monkeypatch: pytest.MonkeyPatch, board: VirtualBoard, way: str) -> None:
    """From here on this computer's ports are that of the board."""
    monkeypatch.setattr(adapters, "plugged", lambda: listed(board, way))
