"""The ledger for other programs: CSV for a spreadsheet, JSONL for everything else."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator

from provisioning.ledger.entry import FIELDS, Entry

COLUMNS = ("seq", "at", "kind", "attempt", *FIELDS, "previous", "hash")

# A cell that begins with one of these is a formula to a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_jsonl(entries: Iterable[Entry]) -> Iterator[str]:
    """One JSON object per line: every field, and the hashes, so that a reader can check the chain without this toolkit."""
    for entry in entries:
        yield json.dumps(entry.as_dict(), sort_keys=True, separators=(",", ":"))


def as_csv(entries: Iterable[Entry]) -> Iterator[str]:
    """A line of column names, then a line per row; tables and lists as JSON in their cell."""
    yield _line(COLUMNS)
    for entry in entries:
        row = entry.as_dict()
        yield _line([_cell(row.get(name)) for name in COLUMNS])


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = json.dumps(value, sort_keys=True) if isinstance(value, (dict, list, bool)) else str(value)
    return "'" + text if text.startswith(_FORMULA) else text


def _line(cells: Iterable[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    return buffer.getvalue()


FORMATS = {"csv": as_csv, "jsonl": as_jsonl}
