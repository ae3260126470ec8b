"""Names of operators, beside the chain: a row has a pseudonym, the table of operators has the name until it is erased.

A pseudonym is drawn by chance, one for a person and a month: once its name is erased nothing leads from one to the other, and nobody can
try names, as with a hash of them. The month lets a rule erase old names of people who still work here. Rows that were written before form
0004 hold the names themselves, and cannot be changed without breaking the chain.
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from provisioning.ledger.pseudonym import PSEUDONYM, draw
from provisioning.ledger.table import ENTRIES, OPERATORS

TABLE = OPERATORS.name
_FIELD = re.compile(rf'"operator":"{PSEUDONYM.pattern}"')


def pseudonym(connection: Connection, name: str, at: str) -> str:
    """The pseudonym of `name` in the month of `at` (UTC, as a row has it), made in the writer's turn where it has none yet."""
    if PSEUDONYM.fullmatch(name):
        return name
    month = at[:7]
    known = sa.select(OPERATORS.c.pseudonym).where(OPERATORS.c.name == name, OPERATORS.c.month == month)
    found = connection.execute(known).scalar()
    if found is None:
        found = draw()
        connection.execute(OPERATORS.insert().values(pseudonym=found, name=name, month=month))
    return found


def of(connection: Connection) -> dict[str, str]:
    """pseudonym -> name, of all that are not erased."""
    return {row.pseudonym: row.name for row in connection.execute(sa.select(OPERATORS.c.pseudonym, OPERATORS.c.name))}


def take_over(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """The table of another ledger, whose rows are carried over into this one."""
    known = set(connection.execute(sa.select(OPERATORS.c.pseudonym)).scalars())
    new = [row for row in rows if row["pseudonym"] not in known]
    if new:
        connection.execute(OPERATORS.insert(), new)


def erase(connection: Connection, *, before: str | None = None, name: str | None = None) -> int:
    """Erase the names of months before `before` (YYYY-MM), or of one person; returns how many pseudonyms have none any more."""
    return connection.execute(OPERATORS.delete().where(_which(before, name))).rowcount


def count(connection: Connection, *, before: str | None = None, name: str | None = None) -> int:
    """How many `erase` would erase."""
    return connection.execute(sa.select(sa.func.count()).select_from(OPERATORS).where(_which(before, name))).scalar_one()


def _which(before: str | None, name: str | None) -> sa.ColumnElement[bool]:
    return OPERATORS.c.month < before if before is not None else OPERATORS.c.name == name


def in_the_clear(connection: Connection) -> int:
    """How many rows hold a name themselves: those of older toolkits."""
    found = connection.execute(sa.select(ENTRIES.c.body).where(ENTRIES.c.body.like('%"operator":"%')))
    return sum(1 for body in found.scalars() if not _FIELD.search(body))
