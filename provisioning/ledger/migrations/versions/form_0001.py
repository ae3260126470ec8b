"""The first form: rows, their hashes, and four columns for queries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """For completeness: ledgers of this form carry its number or none, and new ones are made in the newest form."""
    op.create_table(
        "entries",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("attempt", sa.String(32), nullable=False, index=True),
        sa.Column("mac", sa.String(17), index=True),
        sa.Column("device", sa.String(64), index=True),
        sa.Column("certificate", sa.String(64), index=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER entries_no_{verb.lower()} BEFORE {verb} ON entries "
                "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
            )
