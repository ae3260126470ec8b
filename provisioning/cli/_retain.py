"""`twinroot ledger retain`: names of operators are erased by rule, and the chain still verifies."""

from __future__ import annotations

import datetime
import uuid

import click

from provisioning.cli import _options as option
from provisioning.cli._output import emit, say


@click.command()
@option.ledger
@click.option(
    "--months",
    type=click.IntRange(0, 1200),
    help="Erase names of months that ended so many whole months ago, or earlier; 0: all but this month's.",
)
@click.option("--operator", "name", metavar="NAME", help="Or erase one person's name, of all months.")
def retain(location: str | None, months: int | None, name: str | None) -> None:
    """Erase names of operators. Rows keep their pseudonyms, which lead to nobody any more; hashes, chain and seals stay as they are.

    Without an option: what there is to erase. For a rule, run it once a day: `twinroot ledger retain --months 24`.
    """
    from collections.abc import Mapping
    from typing import Any

    from sqlalchemy.engine import Connection

    from provisioning.errors import InputError
    from provisioning.job.fingerprints import who_and_where
    from provisioning.ledger import names
    from provisioning.ledger.store import Ledger

    if months is not None and name is not None:
        raise InputError("bad-arguments", "Give --months or --operator, not both.", "Run it once for each.")
    before = _month(months) if months is not None else None
    with Ledger.open(location) as ledger:
        if before is None and name is None:
            held = ledger.operators()
            clear = ledger.read(names.in_the_clear)
            emit(
                {"ledger": ledger.location, "names": len(held), "rows_with_names": clear},
                f"{len(held)} pseudonyms have a name; {clear} rows of older toolkits hold a name themselves",
            )
            return

        def decide(connection: Connection) -> tuple[int, Mapping[str, Any]]:
            count = names.erase(connection, before=before, name=name)
            which = f"of months before {before}" if before else "of one person"
            return count, {**who_and_where(), "reason": f"names {which} were erased by rule: {count}"}

        # Looked at first: a rule that runs every day adds no row where there is nothing to do.
        found = ledger.read(lambda connection: names.count(connection, before=before, name=name))
        erased = ledger.erase_names(decide, uuid.uuid4().hex) if found else 0
        ledger.compact()
        clear = ledger.read(names.in_the_clear)
        if clear:
            say(f"{clear} rows of older toolkits hold a name themselves: that is part of what was hashed, and stays.")
        emit({"ledger": ledger.location, "erased": erased, "rows_with_names": clear}, f"{erased} names erased")


def _month(back: int) -> str:
    """The first month that stays, YYYY-MM, UTC."""
    now = datetime.datetime.now(datetime.timezone.utc)
    year, month = divmod(now.year * 12 + now.month - 1 - back, 12)
    return f"{year:04d}-{month + 1:02d}"
