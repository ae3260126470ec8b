"""What the documents say of codes, made from the table: docs/errors.md, and what is between the markers of docs/technician-codes.md."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from provisioning.errors import technician_page
from provisioning.errors.row import BOARD, PASS, CodeRow
from provisioning.errors.table import ROWS, SUBJECTS

BEGIN = "<!-- made by `python -m provisioning.errors`: what it may say -->"
END = "<!-- end of what it may say -->"

_HEAD = """# Error codes

Made by `python -m provisioning.errors` from the table in `provisioning/errors/codes/`; edit the rows there.

Every report and every error has a `code` for machines, and a `message` and a `hint` that name the port, the file and the line; this page
says what each code means in general. *exit* is the exit code: 0 pass, 1 the board failed, 2 the input is wrong, 3 the station is wrong,
130 interrupted; several where a code has several causes, the usual one first. *again* tells whether the same command may end otherwise:
*yes* for what chance, a line or a busy service did (a row of boards is tried again by itself), *after that* when somebody has done what
*next* says, *no* when it stays so.
"""
_COLUMNS = "| code | exit | who acts | again | what it means | next |\n| --- | --- | --- | --- | --- | --- |\n"


def reference() -> str:
    """docs/errors.md."""
    parts = [_HEAD]
    for subject, rows in SUBJECTS.items():
        parts.append(f"\n## {subject}\n\n{_COLUMNS}")
        parts += [
            f"| `{row.code}` | {', '.join(map(str, row.exits))} | {row.who.value} | {row.retry.value} | {row.means} | {row.next} |\n"
            for row in rows
        ]
    return "".join(parts)


def technician() -> str:
    """The table of the technician's page, markers included."""
    lines = [BEGIN, "", "| it says | it is | do |", "| --- | --- | --- |"]
    for line in technician_page.ORDER:
        lines.append(f"| {_says(row for row in ROWS.values() if row.bench is line)} | {line.means} | {line.do} |")
    return "\n".join([*lines, "", END])


def _says(rows: Iterable[CodeRow]) -> str:
    """`FAIL a`, `b`, `ERROR c`: the outcome is said where it changes."""
    said, last = [], ""
    for row in rows:
        outcome = {PASS: "PASS", BOARD: "FAIL"}.get(row.exits[0], "ERROR")
        said.append(f"`{row.code}`" if outcome == last else f"`{outcome} {row.code}`")
        last = outcome
    return ", ".join(said)


def placed(page: str) -> str:
    """docs/technician-codes.md with its table as it should be. Raises ValueError where a marker is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the line {END if begin else BEGIN!r}")
    return before + technician() + after


def pages(docs: Path) -> dict[Path, str]:
    """File in the folder docs -> what it should hold."""
    page = docs / "technician-codes.md"
    return {docs / "errors.md": reference(), page: placed(page.read_text("utf-8"))}
