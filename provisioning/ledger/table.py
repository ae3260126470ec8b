"""The ledger's table: its columns, and what refuses changes of it. The number of its form is `entry.FORM`.

`body` and `hash` are the record; the other columns are copies of fields of the body for queries, and `verify` compares them. What a column
was added by, and how a ledger of an older form gets it, stands in `migrations/versions`; a new ledger is made in the newest form at once.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import event

metadata = sa.MetaData()
ENTRIES = sa.Table(
    "entries",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Column("kind", sa.String(16), nullable=False, index=True),
    sa.Column("attempt", sa.String(32), nullable=False, index=True),
    sa.Column("mac", sa.String(17), index=True),
    sa.Column("device", sa.String(64), index=True),
    sa.Column("certificate", sa.String(64), index=True),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("outcome", sa.String(8)),
    sa.Column("wrote", sa.Boolean),
    sa.Column("serial", sa.String(64), index=True),
    sa.Column("task", sa.String(64), index=True),
)
# Names of operators, beside the chain: what is hashed has pseudonyms, so that a name can be erased and the chain still verifies.
OPERATORS = sa.Table(
    "operators",
    metadata,
    sa.Column("pseudonym", sa.String(16), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("month", sa.String(7), nullable=False),
    sa.UniqueConstraint("name", "month", name="operators_name_month"),
)
# Alembic's own table, by its own names: a ledger that was made here is one that Alembic can take further.
VERSION = sa.Table("alembic_version", metadata, sa.Column("version_num", sa.String(32), nullable=False))
VERSION.append_constraint(sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"))

# dialect -> statements that make the table refuse UPDATE and DELETE, whoever asks. Whoever owns it can drop them: that is what the chain is
# for. PostgreSQL's roles come before them (docs/factory.md).
GUARDS = {
    "sqlite": tuple(
        f"CREATE TRIGGER IF NOT EXISTS entries_no_{verb.lower()} BEFORE {verb} ON entries "
        f"BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    ),
    "postgresql": (
        (
            "CREATE OR REPLACE FUNCTION entries_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$"
        ),
        (
            "CREATE TRIGGER entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entries "
            "FOR EACH STATEMENT EXECUTE FUNCTION entries_append_only()"
        ),
    ),
}
for _dialect, _statements in GUARDS.items():
    for _statement in _statements:
        _ddl: sa.DDL = sa.DDL(_statement.replace("%", "%%"))  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy 2.1
        event.listen(ENTRIES, "after_create", _ddl.execute_if(dialect=_dialect))
