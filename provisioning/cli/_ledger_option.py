"""--ledger, the same for every command that reads or writes one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from provisioning.cli._output import say


def ledger_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """--ledger, the same for every command that reads or writes one."""
    return click.option(
        "--ledger",
        "location",
        metavar="PATH|URL",
        callback=without_password,
        help="The ledger; default TWINROOT_LEDGER, then the user's data folder.",
    )(function)


def without_password(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Says so where the value of an option holds a password, which others can see."""
    if value and re.match(r"\w[\w+]*://([^@]*:[^@]*@|.*password=)", value):
        say("Everybody on this computer can read the password of a URL in the list of processes: TWINROOT_LEDGER, or ~/.pgpass, keeps it.")
    return value
