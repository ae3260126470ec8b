"""What spreadsheets make of lists of devices, by name: a number for a serial, a date for a part, a workbook for a text.

None of it can be undone, the digits are gone: what is said is what happened and how the sheet keeps a text a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HINT = "Format the column as text before anything is typed or pasted into it, then save as CSV UTF-8."
_MONTHS = "jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez"

# Pattern of a cell -> what the spreadsheet did.
_EXPONENT = "a number with an exponent, which a spreadsheet makes of long digits or of an E between digits"
_DATE = "a date, which a spreadsheet makes of texts such as 3-1, 3-1-24 or JAN3"
_ERROR = "#(N/A|NAME\\?|REF!|VALUE!|DIV/0!|NULL!|NUM!|SPILL!|NV|WERT!|BEZUG!)|#{3,}"
_CELLS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), what)
    for pattern, what in (
        # Exponents end at 307 there: a longer text of hexadecimal digits stays what it is.
        (r"[+-]?\d+([.,]\d+)?E[+-]?\d{1,3}", _EXPONENT),
        (rf"\d{{1,2}}[-. /]({_MONTHS})[a-z]*\.?([-. /]\d{{2,4}})?", _DATE),
        (rf"({_MONTHS})[a-z]*\.?[-. /]\d{{1,4}}", _DATE),
        (r"\d{1,2}[./]\d{1,2}[./]\d{2,4}|\d{4}-\d{2}-\d{2}( \d.*)?", _DATE),
        (_ERROR, "an error of a formula of the spreadsheet"),
        (r"[=@].+\(.*\)", "a formula of a spreadsheet, not its result"),
    )
)
# The same in any column: digits before a point and an exponent with its sign are written by nobody by hand.
_ANYWHERE = re.compile(r"[+-]?\d[.,]\d+E\+\d{2,}")

# First bytes of files that are no text -> what they are.
_WORKBOOKS = ((b"PK\x03\x04", "an Excel workbook (.xlsx) or another ZIP"), (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)"))


def workbook(head: bytes) -> str:
    """What a file that begins so is, or an empty text."""
    return next((what for magic, what in _WORKBOOKS if head.startswith(magic)), "")


def changed(cell: str) -> str:
    """What a spreadsheet made of an id, or an empty text."""
    return next((what for pattern, what in _CELLS if pattern.fullmatch(cell)), "")


def changed_anywhere(cell: str) -> str:
    """The same for a column of any text: only what cannot be meant."""
    return _EXPONENT if _ANYWHERE.fullmatch(cell) else ""


def lost_zeros(ids: Iterable[str]) -> tuple[str, str] | None:
    """Two ids that differ in leading zeros only (0012 beside 12), the one with more of them first."""
    seen: dict[str, str] = {}
    for each in ids:
        if each.isascii() and each.isdigit():
            other = seen.setdefault(each.lstrip("0"), each)
            if other != each:
                return (each, other) if len(each) > len(other) else (other, each)
    return None
