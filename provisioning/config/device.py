"""A device: one row of a CSV, or one id from the command line."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from pathlib import Path

from provisioning.config import spreadsheet
from provisioning.config.document import clip, shown, wrong
from provisioning.config.mac import normal
from provisioning.config.nearest import did_you_mean
from provisioning.config.text_file import read_text

COLUMN = "device"
MAC_COLUMN = "mac"  # the board that a row is meant for; empty for any
_MOST_COLUMNS = 256
_MOST_BYTES = 64_000_000  # of a list of 100,000 devices, and more

# The id becomes an MQTT client id, a thing's name and part of file names, so: what all of them allow on every system.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_WINDOWS_NAMES = frozenset({"con", "prn", "aux", "nul", *(f"{n}{i}" for n in ("com", "lpt") for i in range(1, 10))})
_COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_ -]{0,63}")


@dataclass(frozen=True)
class Device:
    """`id` and the columns of its row (`device` among them). Columns may be secret: they are not shown."""

    id: str
    fields: dict[str, str] = field(repr=False)
    where: str = ""  # "devices.csv:3", or empty for an id from the command line


def single_device(identifier: str) -> Device:
    """The device that `--device ID` names. Raises InputError for an id that cannot be one."""
    _check_id(identifier, "--device")
    return Device(identifier, {COLUMN: identifier})


def load_devices(path: Path) -> list[Device]:
    """All devices of a CSV, in its order. Raises InputError with file and line."""
    name = shown(path)
    refuse_workbook(path)
    text = read_text(path, _MOST_BYTES)
    if "\0" in text:
        raise wrong("csv-binary", f"{name}: holds zero bytes, expected a CSV text", "Save it as CSV UTF-8.")
    first = text.split("\n", 1)[0]
    if not text.strip():
        raise wrong(
            "csv-empty",
            f"{name}: the file is empty, expected a line of column names with '{COLUMN}'",
            "Add the line and one line per device.",
        )
    if first.strip().strip('"').lower().startswith("sep="):
        raise wrong(
            "csv-separator-line",
            f"{name}:1: {clip(first.strip())!r} is a line for Excel alone, expected the columns' names",
            "Delete that line: the separator is found without it.",
        )
    # Excel writes semicolons where the comma is the decimal sign; a tab is what copying from a sheet gives.
    delimiter = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    devices: list[Device] = []
    seen: dict[str, int] = {}
    try:
        header = _header(next(rows), name)
        for row in rows:
            line = rows.line_num
            if not any(cell.strip() for cell in row):
                continue
            device = _row(header, row, f"{name}:{line}")
            earlier = seen.setdefault(device.id.lower(), line)
            if earlier != line:
                raise wrong(
                    "csv-duplicate",
                    f"{name}:{line}: device '{device.id}' is there twice, first in line {earlier}",
                    "Remove one, or give it its own id.",
                )
            devices.append(device)
        lost = spreadsheet.lost_zeros(device.id for device in devices)
        if lost is not None:
            at = {device.id: device.where for device in devices}
            raise wrong(
                "csv-spreadsheet",
                f"{at[lost[1]]}: device {lost[1]!r} stands beside {lost[0]!r} ({at[lost[0]]}): a spreadsheet drops leading zeros",
                spreadsheet.HINT,
            )
    except csv.Error as error:
        raise wrong("csv-syntax", f"{name}:{max(rows.line_num, 1)}: not CSV: {error}", "Save it again as CSV UTF-8.") from None
    except StopIteration:
        raise wrong("csv-empty", f"{name}: the file has no line of column names", f"Start it with `{COLUMN}`.") from None
    if not devices:
        raise wrong("csv-empty", f"{name}: there are column names and no device below them", "Add one line per device.")
    return devices


def _header(cells: list[str], name: str) -> list[str]:
    header = [cell.strip() for cell in cells]
    while header and not header[-1]:  # a trailing delimiter
        header.pop()
    if len(header) > _MOST_COLUMNS:
        raise wrong(
            "csv-column", f"{name}:1: {len(header)} columns, expected at most {_MOST_COLUMNS}", "Keep the columns that the product names."
        )
    for column in header:
        if not _COLUMN_NAME.fullmatch(column):
            raise wrong(
                "csv-column",
                f"{name}:1: column name {clip(column)!r}, expected letters, digits, '_', '-'",
                "The first line holds the columns' names.",
            )
        if header.count(column) > 1:
            raise wrong("csv-column", f"{name}:1: column '{column}' is there twice", "Rename one of them.")
    if COLUMN not in header:
        near = did_you_mean(COLUMN, header) and "Column names are case-sensitive."
        raise wrong(
            "csv-no-device",
            f"{name}:1: no column '{COLUMN}', found {clip(', '.join(header))}",
            near or f"Name the column of ids `{COLUMN}`.",
        )
    return header


def _row(header: list[str], row: list[str], where: str) -> Device:
    cells = [cell.strip() for cell in row]
    while len(cells) > len(header) and not cells[-1]:
        cells.pop()
    if len(cells) != len(header):
        raise wrong(
            "csv-width",
            f"{where}: {len(cells)} value{'s' * (len(cells) != 1)}, expected {len(header)} as in the first line",
            "Quote values that hold the separator.",
        )
    fields = dict(zip(header, cells, strict=True))
    _check_cells(fields, where)
    _check_id(fields[COLUMN], where)
    return Device(fields[COLUMN], fields, where)


def _check_cells(fields: dict[str, str], where: str) -> None:
    """Raises InputError for what a spreadsheet made of an id, a MAC or a number."""
    for column, cell in fields.items():
        if normal(cell) is not None:
            continue  # 24E620000123 is a MAC, whatever it looks like
        what = spreadsheet.changed(cell) if column in (COLUMN, MAC_COLUMN) else spreadsheet.changed_anywhere(cell)
        if what:
            raise wrong(
                "bad-mac" if column == MAC_COLUMN else "csv-spreadsheet",
                f"{where}: column '{column}' holds {clip(cell)!r}: {what}",
                spreadsheet.HINT,
            )
    mac = fields.get(MAC_COLUMN, "")
    if mac and normal(mac) is None:
        raise wrong("bad-mac", f"{where}: column '{MAC_COLUMN}' holds {clip(mac)!r}, which is not a MAC", "Write it as aa:bb:cc:dd:ee:ff.")


def refuse_workbook(path: Path) -> None:
    """Raises InputError for a workbook where a CSV text is expected."""
    try:
        with path.open("rb") as file:
            what = spreadsheet.workbook(file.read(8))
    except (OSError, ValueError):
        return  # said by read_text
    if what:
        raise wrong("csv-binary", f"{shown(path)}: is {what}, which holds zero bytes, expected a CSV text", "Save it as CSV UTF-8.")


def _check_id(identifier: str, where: str) -> None:
    if _ID.fullmatch(identifier) and identifier.split(".")[0].lower() not in _WINDOWS_NAMES and not identifier.endswith("."):
        return
    raise wrong(
        "bad-device-id",
        f"{where}: device {clip(identifier)!r}, expected 1 to 64 letters, digits, '-', '_' or '.', beginning with a letter or digit",
        "The id becomes the MQTT client id and part of file names.",
    )
