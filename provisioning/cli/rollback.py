"""twinroot rollback: back to the set before the active one."""

from __future__ import annotations

import click

from provisioning.cli import _options as option
from provisioning.cli._port import finish, progress


@click.command()
@option.port
@option.transport
@option.ledger
def command(port: str | None, transport: str, location: str | None) -> int:
    """Make the previous set of the board on PORT active again."""
    from provisioning.job.evidence import Evidence
    from provisioning.job.rollback import rollback

    with progress() as events, Evidence("rollback", location, events, port=port) as evidence:
        report = rollback(port, transport=transport, events=events, before=evidence.before)
    return finish(report)
