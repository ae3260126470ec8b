"""`twinroot virtual`: boards that are not there. The options are those of `python -m provisioning.virtual`, declared there once."""

from __future__ import annotations

import click

from provisioning.cli._output import mode


@click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Start virtual ESP32 boards and run until told to stop."""
    from provisioning.virtual.options import parse
    from provisioning.virtual.run import run

    run(parse([*arguments, *(["--json"] if mode.json else [])]))
