"""How an attempt ended, as columns: which devices are free is a question for the database, not a reading of all rows."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ROWS = 1000  # at a time


def upgrade() -> None:
    """Add the columns and fill them from the record. SQLite's guards are lifted for it, inside this transaction."""
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    op.add_column("entries", sa.Column("outcome", sa.String(8)))
    op.add_column("entries", sa.Column("wrote", sa.Boolean))
    if sqlite:
        op.execute("DROP TRIGGER IF EXISTS entries_no_update")
    table = sa.table("entries", sa.column("seq"), sa.column("body"), sa.column("outcome", sa.String), sa.column("wrote", sa.Boolean))
    last = 0
    while True:
        rows = connection.execute(sa.select(table.c.seq, table.c.body).where(table.c.seq > last).order_by(table.c.seq).limit(_ROWS)).all()
        if not rows:
            break
        last = rows[-1].seq
        for seq, body in rows:
            found = _fields(body)
            if found:
                connection.execute(table.update().where(table.c.seq == seq).values(found))
    if sqlite:
        op.execute("CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END")


def _fields(body: str) -> dict[str, object]:
    """A row that somebody damaged is left as it is, for `verify` to find."""
    try:
        data = json.loads(body)
    except ValueError:
        return {}
    return {name: data[name] for name in ("outcome", "wrote") if isinstance(data, dict) and name in data}
