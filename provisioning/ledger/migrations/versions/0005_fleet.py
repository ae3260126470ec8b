"""Tables of fleets: devices, sets, plans, waves, members, turns."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_TEXT, _NUMBER = sa.Text, sa.Integer


def upgrade() -> None:
    """New tables; nothing of the older ones changes."""
    op.create_table(
        "fleet_devices",
        sa.Column("product", sa.String(64), nullable=False),
        sa.Column("device", sa.String(128), nullable=False),
        sa.Column("seen", _NUMBER),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("version", _NUMBER),
        sa.Column("refused", _NUMBER),
        sa.Column("phase", sa.String(32)),
        sa.Column("firmware", sa.String(64)),
        sa.Column("route", sa.String(64)),
        sa.Column("root", sa.String(64)),
        sa.Column("evidence", _TEXT, nullable=False),
        sa.Column("attributes", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("device", "product"),
    )
    op.create_table(
        "fleet_sets",
        sa.Column("product", sa.String(64), primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("version", _NUMBER, nullable=False),
        sa.Column("body", _TEXT, nullable=False),
    )
    op.create_table(
        "fleet_plans",
        sa.Column("plan", sa.String(64), primary_key=True),
        sa.Column("product", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("body", _TEXT, nullable=False),
        sa.Column("created", _NUMBER, nullable=False),
    )
    op.create_table(
        "fleet_waves",
        sa.Column("plan", sa.String(64), primary_key=True),
        sa.Column("wave", sa.String(64), primary_key=True),
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("carrier", sa.String(16), nullable=False),
        sa.Column("job", sa.String(64)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", _TEXT),
        sa.Column("started", _NUMBER),
        sa.Column("ended", _NUMBER),
    )
    op.create_table(
        "fleet_members",
        sa.Column("plan", sa.String(64), primary_key=True),
        sa.Column("device", sa.String(128), primary_key=True),
        sa.Column("wave", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("detail", _TEXT),
        sa.Column("changed", _NUMBER),
    )
    op.create_index("ix_fleet_members_wave", "fleet_members", ["plan", "wave", "state"])
    op.create_table(
        "fleet_turns",
        sa.Column("plan", sa.String(64), primary_key=True),
        sa.Column("holder", sa.String(128), nullable=False),
        sa.Column("until", _NUMBER, nullable=False),
    )
