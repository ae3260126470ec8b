"""What the table of codes has of each code, and the words for it."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

# Exit codes by their cause, as the classes of `provisioning.errors` have them.
PASS, BOARD, INPUT, STATION, STOPPED = 0, 1, 2, 3, 130


class Retry(Enum):
    """Whether the same command, run again, may end otherwise."""

    NO = "no"
    YES = "yes"  # chance, the line or a busy service: a station tries again by itself
    AFTER = "after that"  # after the person has acted


class Who(Enum):
    """Who acts."""

    TECHNICIAN = "technician"
    STATION = "station engineer"  # who set this computer up
    PRODUCT = "product engineer"  # who wrote product, board and device files, and owns keys and the account
    SUPPLIER = "supplier"
    CALLER = "who typed the command"
    MAINTAINER = "maintainer of twinroot"
    NOBODY = "nobody: a result"


class TechnicianLine(NamedTuple):
    """A line of the technician's page."""

    means: str
    do: str


class CodeRow(NamedTuple):
    """One code. `exits`: the exit codes that it comes with, the usual one first. `next`: empty where nothing follows."""

    code: str
    exits: tuple[int, ...]
    retry: Retry
    who: Who
    means: str
    next: str
    bench: TechnicianLine | None


def rows(
    exits: int | tuple[int, ...], retry: Retry, who: Who, *texts: tuple[str, str, str], bench: TechnicianLine | None = None
) -> tuple[CodeRow, ...]:
    """Rows that share all but their texts, which are (code, what it means, next step)."""
    codes = (exits,) if isinstance(exits, int) else exits
    return tuple(CodeRow(code, codes, retry, who, means, then, bench) for code, means, then in texts)
