"""twinroot rollback: back to the set before the active one."""

from __future__ import annotations

import click

from provisioning.cli._port import finish, port_option, progress, transport_option


@click.command()
@port_option
@transport_option
def command(port: str | None, transport: str) -> int:
    """Make the previous set of the board on PORT active again."""
    from provisioning.job.rollback import rollback

    with progress() as events:
        report = rollback(port, transport=transport, events=events)
    return finish(report)
