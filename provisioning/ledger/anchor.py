"""Heads of the chain, written down beside the ledger: what shows that its newest rows were cut off.

A hash chain alone cannot show that its tail is missing: the rows that are left still fit. So each append adds a line `SEQ HASH` to a
file, and `verify` asks that every line's row is there. Whoever can write both files can still cut both: copy the newest line to another
machine, or on paper, and give it to `ledger verify --head SEQ:HASH`. The line is written after the row's transaction, so a crash
between the two leaves the last row unanchored and never the reverse.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from provisioning.errors import InputError
from provisioning.ledger.entry import Entry

_LINE = re.compile(r"([0-9]{1,18}) ([0-9a-f]{64})")


def note(file: Path, entry: Entry) -> None:
    """Add the head; one write of one short line, so that lines of several processes do not mix."""
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, f"{entry.seq} {entry.hash}\n".encode("ascii"))
    finally:
        os.close(handle)


def read(file: Path) -> dict[int, str]:
    """seq -> hash; a torn last line is left out, a wrong line elsewhere raises InputError."""
    try:
        lines = file.read_text("ascii", errors="replace").split("\n")
    except FileNotFoundError:
        return {}
    heads: dict[int, str] = {}
    torn = lines.pop()  # what follows the last newline: nothing, or half a line
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line.rstrip("\r"))
        if match is None:
            raise InputError(
                "bad-anchor", f"{file}:{number}: not a line 'SEQ HASH'.", "The file was edited or damaged; compare it with a copy."
            )
        heads[int(match[1])] = match[2]
    if _LINE.fullmatch(torn):
        heads[int(torn.split(" ")[0])] = torn.split(" ")[1]
    return heads


def parse_head(text: str) -> tuple[int, str]:
    """`SEQ:HASH` from the command line. Raises InputError."""
    match = _LINE.fullmatch(text.strip().replace(":", " ", 1))
    if match is None:
        raise InputError(
            "bad-arguments", f"--head {text[:80]!r}: expected SEQ:HASH.", "`twinroot ledger verify` prints the head in this form."
        )
    return int(match[1]), match[2]
