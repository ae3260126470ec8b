"""The ledger for other programs: CSV for a spreadsheet, JSONL for everything else."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping

from provisioning.ledger.entry import FIELDS, Entry

COLUMNS = ("seq", "at", "kind", "attempt", *FIELDS, "previous", "hash")

# A cell that begins with one of these is a formula to a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


NAME = "operator_name"  # the only field that is not the row's own: no part of what is hashed


def as_jsonl(entries: Iterable[Entry], operators: Mapping[str, str] | None = None) -> Iterator[str]:
    """One JSON object per line: every field, and the hashes, so that a reader can check the chain without this toolkit. `operators`:
    pseudonym -> name, for a field more."""
    for entry in entries:
        yield json.dumps({**entry.as_dict(), **_named(entry, operators)}, sort_keys=True, separators=(",", ":"))


def as_csv(entries: Iterable[Entry], operators: Mapping[str, str] | None = None) -> Iterator[str]:
    """A line of column names, then a line per row; tables and lists as JSON in their cell, and under `more` what a newer toolkit wrote."""
    columns = (*COLUMNS, *([NAME] if operators is not None else []), "more")
    yield _line(columns)
    for entry in entries:
        row = {**entry.as_dict(), **_named(entry, operators)}
        more = {name: value for name, value in row.items() if name not in columns and name != "format"}
        yield _line([_cell(row.get(name)) for name in columns[:-1]] + [_cell(more or None)])


def _named(entry: Entry, operators: Mapping[str, str] | None) -> dict[str, str]:
    name = (operators or {}).get(entry.fields.get("operator", ""))
    return {} if name is None else {NAME: name}


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
