"""Tables of fleets beside the ledger's own: what is known of each device in the field, plans of migrations, and how far they are.

They are not part of the chain: rows are changed, and a lost one is collected again from the devices or from the cloud. They are in the
ledger's database because several computers work on one fleet, as several stations do on one list of devices.
"""

from __future__ import annotations

import sqlalchemy as sa

from provisioning.ledger.table import metadata as metadata  # with these tables in it

# One row for each device: what its latest reports said. Times are unix seconds.
DEVICES = sa.Table(
    "fleet_devices",
    metadata,
    sa.Column("product", sa.String(64), nullable=False),
    sa.Column("device", sa.String(128), nullable=False),
    sa.Column("seen", sa.Integer),  # last sign of life; None: never
    sa.Column("source", sa.String(16), nullable=False),  # of the latest report: ledger, file, mqtt, index, job
    sa.Column("version", sa.Integer),  # version of the set in use
    sa.Column("refused", sa.Integer),  # version that was rolled back, as the device or its job said
    sa.Column("phase", sa.String(32)),  # of the set in use; None: not known, or routes of another make
    sa.Column("firmware", sa.String(64)),
    sa.Column("route", sa.String(64)),  # by which it connected last
    sa.Column("root", sa.String(64)),  # that anchored a connection last
    sa.Column("evidence", sa.Text, nullable=False),  # JSON: roots, routes, counters; provisioning/fleet/device.py
    sa.Column("attributes", sa.Text, nullable=False),  # JSON: its row of the list of devices (site, …)
    sa.PrimaryKeyConstraint("device", "product"),  # in this order: a server without statistics looks nothing up by a second column
)
# What sets of a product have, as its files and the ledger's rows said: what a device trusts follows from the version that it reports.
SETS = sa.Table(
    "fleet_sets",
    metadata,
    sa.Column("product", sa.String(64), primary_key=True),
    sa.Column("sha256", sa.String(64), primary_key=True),  # of the body
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("body", sa.Text, nullable=False),  # JSON: routes with their roots, policy; provisioning/fleet/sets.py
)
# The plan as it was reviewed: the text of its file and that text's SHA-256.
PLANS = sa.Table(
    "fleet_plans",
    metadata,
    sa.Column("plan", sa.String(64), primary_key=True),
    sa.Column("product", sa.String(64), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("created", sa.Integer, nullable=False),
)
WAVES = sa.Table(
    "fleet_waves",
    metadata,
    sa.Column("plan", sa.String(64), primary_key=True),
    sa.Column("wave", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),  # waves run in this order
    sa.Column("carrier", sa.String(16), nullable=False),  # cable or jobs
    sa.Column("job", sa.String(64)),  # the job's id, where jobs carry it
    sa.Column("state", sa.String(16), nullable=False),  # provisioning/fleet/wave.py: STATES
    sa.Column("reason", sa.Text),  # why it stopped
    sa.Column("started", sa.Integer),
    sa.Column("ended", sa.Integer),
)
MEMBERS = sa.Table(
    "fleet_members",
    metadata,
    sa.Column("plan", sa.String(64), primary_key=True),
    sa.Column("device", sa.String(128), primary_key=True),
    sa.Column("wave", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # provisioning/fleet/wave.py: MEMBER_STATES
    sa.Column("detail", sa.Text),
    sa.Column("changed", sa.Integer),
    sa.Index("ix_fleet_members_wave", "plan", "wave", "state"),
)
# Who works on a plan: two computers take turns, and one that died loses its turn with time.
TURNS = sa.Table(
    "fleet_turns",
    metadata,
    sa.Column("plan", sa.String(64), primary_key=True),
    sa.Column("holder", sa.String(128), nullable=False),
    sa.Column("until", sa.Integer, nullable=False),
)
