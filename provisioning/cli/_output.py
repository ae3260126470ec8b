"""What a command prints: one JSON object on standard output with --json and nothing else there, text for people without it.

Progress and messages go to standard error through `say`, in both modes.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click

from provisioning import untrusted_text
from provisioning.errors import StationError, TwinrootError


@dataclass
class Mode:
    """How this run reports; set by the options that every command has."""

    json: bool = False
    debug: bool = False
    command: str = ""


mode = Mode()


def _plain(value: Any) -> Any:
    """What json cannot write by itself: paths, dates and bytes as text, sets as sorted lists."""
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


class OutputLost(StationError):
    """Nobody can receive what is printed: there is no use in printing more."""


def show(line: str) -> None:
    """One line of the result, on standard output. StationError when nobody can receive it (a closed pipe, a full disk)."""
    try:
        click.echo(untrusted_text.lines(line))
    except OSError as error:
        # Python flushes standard output once more at its end, and would then complain in words of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputLost(
            "output-lost",
            f"The result could not be written to standard output: {error.strerror or error}.",
            "What was done to the board is done; `twinroot verify` asks it.",
        ) from error


def emit(data: Mapping[str, Any], text: str | Callable[[], str] = "") -> None:
    """Print the command's result: `data` as one JSON object with --json, else `text` (a callable is only asked for then)."""
    if mode.json:
        show(untrusted_text.json_text(json.dumps(data, default=_plain, ensure_ascii=False)))
        return
    shown = text if isinstance(text, str) else text()
    if shown:
        show(shown)


def conclude(data: Mapping[str, Any], text: str | Callable[[], str], failure: TwinrootError | None = None) -> int:
    """Print a result that is worth reading even when it is bad news, and what makes it so; returns the exit code."""
    emit({**as_object(failure), **data}, text)
    if failure is not None:
        tell(failure)
    return failure.exit_code if failure else 0


def as_object(error: TwinrootError | None) -> dict[str, str]:
    """How a run ended, as every JSON object says it."""
    if error is None:
        return {"outcome": "pass", "code": "pass", "message": "", "hint": ""}
    return {"outcome": error.outcome, "code": error.code, "message": error.message, "hint": error.hint}


def tell(error: TwinrootError) -> None:
    """An error for people: the sentence and the next step."""
    say(f"twinroot: {error.message}")
    if error.hint:
        say(f"  next: {error.hint}")


def say(line: str = "") -> None:
    """A message for people, on standard error, in every mode."""
    click.echo(untrusted_text.lines(line), err=True)
