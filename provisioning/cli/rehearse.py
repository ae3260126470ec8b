"""`twinroot rehearse COMMAND PRODUCT …`: a command of a line or of the field on boards that are not there."""

from __future__ import annotations

from pathlib import Path

import click

from provisioning.cli._output import mode, say
from provisioning.errors import InputError

COMMANDS = ("flash", "station", "update", "verify")


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--boards", type=click.IntRange(1, 64), help="How many virtual boards; by default the --count of the command, or one.")
@click.argument("arguments", metavar="COMMAND PRODUCT…", nargs=-1, required=True, type=click.UNPROCESSED)
def command(boards: int | None, arguments: tuple[str, ...]) -> int:
    """Run flash, station, update or verify on virtual boards, which `auto` means then. Nothing of it is kept: the product is a copy, the
    ledger is a new one. Needs Linux.

    For example: twinroot rehearse station product.yaml --devices devices.csv --ports auto --count 4
    """
    from provisioning import rehearsal
    from provisioning.cli.main import run
    from provisioning.virtual.run import check_platform

    name, *rest = arguments
    if name not in COMMANDS or not rest or rest[0].startswith("-"):
        raise InputError(
            "bad-arguments", f"A rehearsal is of one of {', '.join(COMMANDS)}, and of a product.", "`twinroot rehearse --help`."
        )
    check_platform()
    product, as_json = Path(rest[0]), mode.json
    count = boards or _count(rest)
    with rehearsal.boards(name, product, count) as copy:
        say(f"rehearsal: {count} virtual board{'s' * (count > 1)}, a copy of {product}, a ledger of its own; nothing of it is kept")
        return run([name, *rehearsal.mapped(rest, product, copy), *(["--json"] if as_json and "--json" not in rest else [])])


def _count(arguments: list[str]) -> int:
    for text, following in zip(arguments, [*arguments[1:], ""], strict=True):
        value = text.partition("=")[2] if text.startswith("--count=") else following if text == "--count" else ""
        if value.isdigit() and 1 <= int(value) <= 64:
            return int(value)
    return 1
