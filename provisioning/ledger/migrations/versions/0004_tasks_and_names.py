"""Columns for the certificate's serial number and for what follows a PASS, and a table of operators' names beside the chain."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Rows of older forms have neither field, so there is nothing to fill in. A name that stands in one of them stays there."""
    op.add_column("entries", sa.Column("serial", sa.String(64)))
    op.add_column("entries", sa.Column("task", sa.String(64)))
    for column in ("serial", "task", "kind"):
        op.create_index(f"ix_entries_{column}", "entries", [column])
    op.create_table(
        "operators",
        sa.Column("pseudonym", sa.String(16), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.UniqueConstraint("name", "month", name="operators_name_month"),
    )
