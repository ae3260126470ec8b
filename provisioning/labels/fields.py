"""What a label may show: texts of the board's rows in the ledger, and nothing else, so that the same label can be printed again later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioning.untrusted_text import one_line

# Field of a template -> what it is. Names without a remark are fields of the row.
FIELDS = {
    "device": "the serial number",
    "mac": "24:0a:c4:00:00:01",
    "MAC": "240AC4000001",
    "product": "the product's name",
    "version": "the product's version",
    "board": "the type of the board",
    "chip": "the chip",
    "firmware_version": "MicroPython's version",
    "certificate_sha256": "the certificate's fingerprint",
    "certificate_serial": "the certificate's serial number",
    "certificate_not_after": "when the certificate ends",
    "station": "where it was made",
    "at": "when it passed, UTC",
    "date": "the day of it",
}
SAMPLE = {
    "device": "ws-0001",
    "mac": "24:0a:c4:00:00:01",
    "product": "weather-station",
    "version": 1,
    "board": "esp32-generic",
    "chip": "ESP32-D0WD-V3",
    "firmware_version": "1.27.0",
    "certificate_sha256": "5e" * 32,
    "certificate_serial": "7b" * 20,
    "certificate_not_after": "2036-01-01T00:00:00Z",
    "station": "line-1",
    "at": "2026-01-01T12:00:00.000Z",
}


def of_rows(rows: Mapping[str, Any]) -> dict[str, str]:
    """The texts for a template from the fields of a board's rows, one over the other; what they do not have is left out."""
    made = {name: one_line(str(rows[name])) for name in FIELDS if rows.get(name) not in (None, "")}
    if "mac" in made:
        made["MAC"] = made["mac"].replace(":", "").upper()
    if "at" in made:
        made["date"] = made["at"][:10]
    return made
