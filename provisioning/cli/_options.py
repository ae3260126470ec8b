"""The arguments and options that more than one command has, each said once; what one command has is in its file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from provisioning.cli._output import say

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

# Whether a file can be read is found out by who reads it, who can also say what to do: click's own check knows neither.
PATH = click.Path(path_type=Path, readable=False)
FILE = click.Path(path_type=Path, dir_okay=False)


def without_password(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Says so where the value of an option holds a password, which others can see."""
    if value and re.match(r"\w[\w+]*://([^@]*:[^@]*@|.*password=)", value):
        say("Everybody on this computer can read the password of a URL in the list of processes: TWINROOT_LEDGER, or ~/.pgpass, keeps it.")
    return value


def one_device(text: str = "The unit: a name for the product file's {device}, or a row of its CSV.") -> Decorator:
    return click.option("--device", metavar="ID", help=text)


def devices(text: str = "The CSV of devices; default: the product's own.") -> Decorator:
    return click.option("--devices", type=PATH, metavar="CSV", help=text)


def key_kind(text: str) -> Decorator:
    return click.option("--kind", type=click.Choice(["p256", "rsa2048"]), default="p256", show_default=True, help=text)


def signer(key_text: str) -> Decorator:
    """--key, --command, --passphrase-env: who signs (_signing.py)."""
    words = "Instead of a key: a command that signs standard input (RSA, SHA-256)."
    key = click.option("--key", type=FILE, help=key_text)
    command = click.option("--command", "program", metavar="COMMAND", help=words)
    return lambda function: key(command(passphrase(function)))


product: Decorator = click.argument("product", type=PATH, metavar="PRODUCT")
port: Decorator = click.option(
    "--port",
    metavar="PORT",
    envvar=["TWINROOT_PORT", "ESPPORT"],
    help="Device, rfc2217://…, socket://…, auto, mac:…, usb:SERIAL, usbpath:1-2.3, lg:PLACE or virtual. Default: TWINROOT_PORT, ESPPORT.",
)
ports: Decorator = click.option(
    "--port",
    "ports",
    multiple=True,
    metavar="PORT",
    help="Device, rfc2217://…, socket://…, auto, mac:…, usb:SERIAL or virtual. Several at once: repeated, with commas, or a pattern "
    "such as '/dev/ttyUSB*'. Default: TWINROOT_PORT, then ESPPORT.",
)
count: Decorator = click.option("--count", type=click.IntRange(1), help="Several boards at once: how many there must be.")
retries: Decorator = click.option(
    "--retries",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="With several boards: how often one that failed by chance is tried again.",
)
transport: Decorator = click.option(
    "--transport",
    type=click.Choice(["auto", "stream", "paste", "ampy"]),
    default="auto",
    show_default=True,
    help="How files travel; auto takes the best that the board answers to.",
)
new_identity: Decorator = click.option(
    "--new-identity",
    is_flag=True,
    help="Give the board the certificate and key of --device that are here or are made now, whatever it holds. The cloud does not know "
    "it by these until they are registered. Noted in the ledger.",
)
flash_baud: Decorator = click.option(
    "--baud", type=int, metavar="RATE", help="Exactly this rate; by default the highest that works is found and remembered."
)
allow: Decorator = click.option("--allow", type=PATH, help="A list of MACs, one a line; every other board is refused.")
ledger: Decorator = click.option(
    "--ledger",
    "location",
    metavar="PATH|URL",
    callback=without_password,
    help="The ledger; default TWINROOT_LEDGER, then the user's data folder.",
)
today: Decorator = click.option("--on", metavar="DATE", help="Reckon as if today were DATE (YYYY-MM-DD).")
health: Decorator = click.option(
    "--health", "files", type=PATH, multiple=True, metavar="FILE", help="Health reports of the fleet's devices, one JSON object a line."
)
public: Decorator = click.option("--public", type=PATH, help="The public half of the signing key, PEM.")
passphrase: Decorator = click.option(
    "--passphrase-env", default="TWINROOT_SIGNING_PASSPHRASE", metavar="NAME", help="Environment variable that holds it."
)
