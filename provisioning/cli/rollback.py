"""twinroot rollback: back to the set before the active one."""

from __future__ import annotations

import click

from provisioning.cli._ledger_option import ledger_option
from provisioning.cli._port import finish, port_option, progress, transport_option


@click.command()
@port_option
@transport_option
@ledger_option
def command(port: str | None, transport: str, location: str | None) -> int:
    """Make the previous set of the board on PORT active again."""
    from provisioning.job.evidence import Evidence
    from provisioning.job.rollback import rollback

    with progress() as events, Evidence("rollback", location, events, port=port) as evidence:
        report = rollback(port, transport=transport, events=events, before=evidence.before)
    return finish(report)
