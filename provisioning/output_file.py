"""A result under a name that the user gave: it replaces an earlier result of the same kind, and nothing else.

A name that was mistyped, or completed by a shell, is often that of a key or a product file. So each kind of result is known by how its
files begin, and a file that begins otherwise stays as it is. A kind of result is a row here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from provisioning import atomic_files
from provisioning.errors import InputError, StationError

_HEAD = 64 * 1024  # bytes of a file that are looked at


@dataclass(frozen=True)
class Kind:
    """`name`: with its article; `begins`: what is found in the first 64 KB of each file of the kind."""

    name: str
    begins: re.Pattern[bytes]


SIGNED_SET = Kind("a signed set", re.compile(rb"\ATWSET1\n"))
BILL = Kind("a bill of materials", re.compile(rb'\A\s*\{(?s:.)*?"(bomFormat"\s*:\s*"CycloneDX|spdxVersion"\s*:\s*"SPDX-)'))
CALENDAR = Kind("a calendar", re.compile(rb"\ABEGIN:VCALENDAR\r?\n"))
INDEX_REPORTS = Kind("a list of the index's reports", re.compile(rb'\A\{"device": "[^\n]*", "connected": '))
LEDGER_ROWS = Kind(
    "an export of a ledger",  # a seal, of one line as well, has no "kind"
    re.compile(rb'\A(seq,at,kind,attempt,|\{"[^\n]*"hash":"[0-9a-f]{64}"[^\n]*"kind":"[^\n]*"previous":")'),
)
BUILD_RECORD = Kind("a build record", re.compile(rb"\A<!doctype html>\n[^\n]*<title>Build record "))
BOARD_REPORT = Kind("a report of tests on boards", re.compile(rb"\A<!doctype html>[^\n]*<title>Boards under test</title>"))
LABEL = Kind(
    "a label (ZPL, SVG, PNG)",  # ZPL with a {field} is a template
    re.compile(rb"\A(\x89PNG\r\n|(<\?xml[^>]*>\s*)?<svg\s|(?!(?s:.)*\{\w+\})[^<]*\^XA)"),
)
SUPPORT_BUNDLE = Kind("a support bundle", re.compile(rb"\APK\x03\x04(?s:.){26}README\.txt"))
RECORDING = Kind("a recording of a port", re.compile(rb'\A\{"session": '))


def product_file(name: str) -> Kind:
    """Product files of that product."""
    key = rb"(?m)^product:[ \t]*[\"']?" + re.escape(name.encode()) + rb"[\"']?[ \t]*(#.*)?\r?$"
    return Kind(f"a product file of {name}", re.compile(key))


def check(file: Path, kind: Kind, inputs: Iterable[Path] = ()) -> None:
    """Raises InputError where `file` is there, and is not an empty file or one of `kind`, or is one of `inputs`; for what cannot be read
    StationError."""
    try:
        if not file.exists():
            return
        if file.is_file():
            with file.open("rb") as stream:
                head = stream.read(_HEAD)
            is_input = any(other.exists() and file.samefile(other) for other in inputs)
            if not is_input and (not head or kind.begins.search(head)):
                return
    except OSError as error:
        raise _cannot_write(file, error) from None
    raise InputError("file-there", f"{file} is there already and is not {kind.name}: it stays as it is.", "Name another file.")


def write(file: Path, content: bytes, kind: Kind, inputs: Iterable[Path] = (), mode: int | None = None) -> None:
    """`content` as `file`, whole or not at all, after `check`. Raises InputError, StationError."""
    check(file, kind, inputs)
    try:
        atomic_files.replace(file, content, mode)
    except OSError as error:
        raise _cannot_write(file, error) from None


def _cannot_write(file: Path, error: OSError) -> StationError:
    return StationError("cannot-write", f"{file} cannot be written: {error.strerror}.", "Check the folder, its permissions and the disk.")
