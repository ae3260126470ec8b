"""A PostgreSQL table refuses changes, as an SQLite one always has, and an SQLite ledger that lost its guards gets them back."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

_GUARDS = {
    "sqlite": [
        f"CREATE TRIGGER IF NOT EXISTS entries_no_{verb.lower()} BEFORE {verb} ON entries "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        (
            "CREATE OR REPLACE FUNCTION entries_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$"
        ),
        (
            "CREATE TRIGGER entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entries "
            "FOR EACH STATEMENT EXECUTE FUNCTION entries_append_only()"
        ),
    ],
}


def upgrade() -> None:
    """Make the guards."""
    for statement in _GUARDS[op.get_bind().dialect.name]:
        op.execute(statement)
