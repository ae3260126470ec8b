"""Bring a ledger of an older form up to date, by Alembic; loaded only where there is something to do.

The record itself (`body`, `hash`) is never touched: every hash and the chain stay as they were written.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import Connection

from provisioning.errors import StationError

SCRIPTS = Path(__file__).parent / "migrations"
FIRST = "0001"  # the form of ledgers that were made before forms had numbers


def upgrade(connection: Connection, form: str, shown: str) -> None:
    """In the transaction of `connection`, from `form` ("" for tables without a number) to the newest. Raises StationError."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        if not form:
            command.stamp(config, FIRST)
        command.upgrade(config, "head")
    except CommandError:
        # An unknown number: the tables were made by a toolkit that is newer than this one.
        raise StationError(
            "ledger-newer", f"The ledger {shown} has form {form}, which this toolkit does not know.", "Install the newer toolkit here."
        ) from None
