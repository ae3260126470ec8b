"""`twinroot boards`: the board types."""

from __future__ import annotations

import json

import click

from provisioning.cli._output import emit


@click.group()
def command() -> None:
    """Board types: list, show one, print the JSON Schemas."""


@command.command("list")
def list_command() -> None:
    """Names and descriptions of the boards in boards/."""
    from provisioning.config.load import list_boards, load_board

    boards = [load_board(name) for name in list_boards()]
    rows = [{"name": b.name, "chip": b.chip, "flash_size": b.flash_size, "description": b.description} for b in boards]
    width = max(len(b.name) for b in boards)
    emit({"boards": rows}, "\n".join(f"{b.name:<{width}}  {b.chip:<8}  {b.flash_size:>5}  {b.description}" for b in boards))


@command.command("show")
@click.argument("name")
def show_command(name: str) -> None:
    """One board with everything it inherits; NAME is a name in boards/ or a path."""
    from provisioning.config.describe import describe, firmware_state
    from provisioning.config.load import load_board

    board = load_board(name)
    state = firmware_state(board)
    emit({**board.summary(), "firmware_state": state}, lambda: describe(board, state))


@command.command("schema")
@click.argument("kind", type=click.Choice(["board", "product", "station", "plan"]), required=False)
def schema_command(kind: str | None) -> None:
    """The JSON Schema of the board, product, station and plan files, for editors; KIND picks one."""
    from provisioning.config.load import SCHEMAS, schema, schema_text

    made = schema(kind) if kind else {each: schema(each) for each in SCHEMAS}
    emit(made, lambda: schema_text(kind).rstrip() if kind else json.dumps(made, indent=2, ensure_ascii=False))
