"""`twinroot record`: any session on a port as a file, which `twinroot virtual --replay FILE` plays again."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from provisioning.cli import _options as option
from provisioning.cli._output import emit, mode, say


@click.command()
@option.port
@click.argument("file", metavar="FILE", type=option.PATH)
@click.option("--listen", type=click.IntRange(0, 65535), default=0, help="TCP port of the address; any free one by default.")
def command(port: str | None, file: Path, listen: int) -> None:
    """Put a port in front of the board's PORT and write what passes to FILE, until control-C. Any tool uses the address that is printed.

    FILE holds all that was sent, keys among it, and is yours alone. `twinroot virtual --replay FILE` is a board that says the same again.
    """
    from provisioning.hil.record import record
    from provisioning.link.port import held

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    def ready(address: str) -> None:
        if mode.json:
            emit({"event": "ready", "port": address, "file": str(file)})
        else:
            say(f"Use {address} instead of the board's port; control-C ends the recording.")

    with held(port) as name:
        counts = record(name, file, ready, stop, listen)
    text = f"{file}: {counts['tx']} bytes to the board, {counts['rx']} from it."
    emit({"outcome": "pass", "file": str(file), "sent": counts["tx"], "received": counts["rx"]}, text)
