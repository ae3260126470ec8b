"""What the demo claims and checks."""

from __future__ import annotations

from provisioning.errors.row import BOARD, INPUT, STATION, Retry, Who, rows

SUBJECT = "The demo"

ROWS = (
    *rows(
        (INPUT, STATION),
        Retry.AFTER,
        Who.CALLER,
        ("demo-state", "The demo's folder is not empty, or cannot be used.", "Name a new one: the demo begins with a blank board."),
    ),
    *rows(
        BOARD,
        Retry.NO,
        Who.MAINTAINER,
        ("health-differs", "The device's counters are not what the endpoints saw.", "This is a defect; report it."),
        ("probe-differs", "Probe and device find two different roots.", "This is a defect; report it."),
        ("no-time", "The device connected without having asked for the time.", "This is a defect; report it."),
        ("wrong-accept", "The broken endpoint was not refused as it should be.", "This is a defect; report it."),
        ("wrong-attribution", "The device says another route or root than the endpoint saw.", "This is a defect; report it."),
        ("wrote-again", "The second update wrote something.", "This is a defect; report it."),
    ),
    *rows(BOARD, Retry.YES, Who.STATION, ("no-message", "The device published nothing in time.", "Run the demo again.")),
)
