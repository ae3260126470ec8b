"""Scenes of a row of boards for the live table of `flash` and `update`, and the table as a picture."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from provisioning.cli._rows import Rows
from provisioning.errors import TwinrootError
from provisioning.flash.esptool_errors import explain
from provisioning.job.report import Report
from provisioning.link.events import Event

PORTS = [f"/dev/ttyUSB{n}" for n in range(4)]


def _pass(n: int) -> Event:
    mac = f"24:0a:c4:5e:11:{8 + 4 * n:02x}"
    return Event("report", Report(mac=mac, device=f"ws-{n + 1:04d}").passed("ok").as_dict())


def _fail(n: int, said: str) -> Event:
    error: TwinrootError
    error, _ = explain(f"A fatal error occurred: {said}", PORTS[n], 921_600, "x.log")
    known = error.exit_code == 1
    report = Report(mac=f"24:0a:c4:5e:11:{8 + 4 * n:02x}" if known else None, device=f"ws-{n + 1:04d}" if known else None)
    return Event("report", report.failed(error).as_dict())


def _writing(percent: int) -> list[Event]:
    return [Event("step", {"name": "write"}), Event("bytes", {"done": percent, "total": 100})]


def scenes() -> dict[str, list[tuple[int, Event]]]:
    """Picture -> (port, event) in order."""
    good = [
        (0, _pass(0)),
        *((1, event) for event in _writing(61)),
        *((2, event) for event in _writing(58)),
        (3, Event("step", {"name": "boot"})),
    ]
    bad = [(0, _pass(0)), (1, _fail(1, "MD5 of file does not match data in flash!")), (2, _pass(2)), (3, _pass(3))]
    station = [(0, _pass(0)), (1, _pass(1)), (2, _fail(2, "Failed to connect to ESP32: No serial data received.")), (3, _pass(3))]
    return {"station-good": good, "station-bad-board": bad, "station-bad-station": station}


def draw(events: list[tuple[int, Event]], title: str) -> str:
    """The table as SVG."""
    rows = Rows(PORTS)
    for port, event in events:
        rows.hear(PORTS[port], event)
    console = Console(record=True, width=132, file=io.StringIO(), force_terminal=True)
    console.print(rows.table())
    return console.export_svg(title=title, unique_id=title.replace(" ", "-"))


def texts(events: list[tuple[int, Event]]) -> list[dict[str, Any]]:
    """The reports in a scene, for tests."""
    return [event.data for _, event in events if event.kind == "report"]
