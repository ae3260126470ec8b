"""twinroot rescue: a board whose program holds it, its files kept."""

from __future__ import annotations

from pathlib import Path

import click

from provisioning.cli import _options as option
from provisioning.cli._options import PATH
from provisioning.cli._port import finish, progress
from provisioning.errors import InputError


@click.command()
@option.port
@click.option("--backup", type=PATH, metavar="DIR", help="Only copy the board's files into DIR, a new folder.")
@click.option("--restore", type=PATH, metavar="DIR", help="Only write the files in DIR to the board, each whole or not at all.")
@click.option("--board", metavar="NAME", help="A board file whose `reset` says how the ROM loader of this board is entered.")
@option.ledger
def command(port: str | None, backup: Path | None, restore: Path | None, board: str | None, location: str | None) -> int:
    """Get the board on PORT back from its own program, losing no file: main.py and boot.py are renamed, and the board restarts.

    By the prompt where that can be had, else through the ROM loader. The firmware is not touched.
    """
    from provisioning.job import rescue
    from provisioning.job.evidence import Evidence

    if backup and restore:
        raise InputError("bad-arguments", "--backup and --restore exclude each other.", "Do one after the other.")
    with progress() as events:
        if backup:
            report = rescue.backup(port, backup, board, events)
        elif restore:
            with Evidence("restore", location, events, port=port) as evidence:
                report = rescue.restore(port, restore, board, events, evidence.before)
        else:
            with Evidence("rescue", location, events, port=port) as evidence:
                report = rescue.rescue(port, board, events, evidence.before)
    return finish(report)
