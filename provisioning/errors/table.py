"""The one table of codes: every code that a report, an error or a list of faults may have. A code is a row in a file of `codes/`.

It is read where something depends on it (what a station tries again, the documents), never to raise an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from provisioning.errors.codes import (
    aws,
    cloud,
    command,
    config,
    demo,
    flash,
    hil,
    identity,
    job,
    labels,
    ledger,
    link,
    results,
    sbom,
    sets,
    trust,
    virtual,
    waves,
)
from provisioning.errors.row import CodeRow, Retry

# Heading in docs/errors.md -> rows, in the order of the document: first what a bench sees.
SUBJECTS: Mapping[str, tuple[CodeRow, ...]] = MappingProxyType(
    {
        subject.SUBJECT: subject.ROWS
        for subject in (
            results,
            command,
            flash,
            link,
            job,
            labels,
            ledger,
            config,
            sets,
            identity,
            trust,
            aws,
            cloud,
            waves,
            sbom,
            virtual,
            hil,
            demo,
        )
    }
)


def by_code(rows: Iterable[CodeRow]) -> Mapping[str, CodeRow]:
    """Raises ValueError where two rows have one code."""
    made: dict[str, CodeRow] = {}
    for row in rows:
        if row.code in made:
            raise ValueError(f"two rows for the code {row.code}")
        made[row.code] = row
    return MappingProxyType(made)


ROWS = by_code(row for rows in SUBJECTS.values() for row in rows)


def may_pass_again(code: str) -> bool:
    """Whether the same command, run again at once by a machine, may end otherwise. False for a code that is not known."""
    row = ROWS.get(code)
    return row is not None and row.retry is Retry.YES
