"""`twinroot aws index`: AWS's index of the fleet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from provisioning.cli import _aws as aws_option
from provisioning.cli._options import FILE
from provisioning.cli._output import emit, say


@click.group("index")
def group() -> None:
    """AWS's index of the fleet: who is connected, and what each device reports of its health."""


@group.command()
@aws_option.region
@aws_option.profile
def prepare(region: str | None, profile: str | None) -> int:
    """Have the index hold registry, shadow `twinroot` and connectivity; what else it holds stays. AWS charges for it."""
    from provisioning.aws import fleet_index

    account = aws_option.connected(region, profile)
    changed = fleet_index.prepare(account)
    if changed:
        say("AWS builds the index now; until that is done, `aws index reports` says that it is not ready.")
    emit({"region": account.region, "changed": changed}, f"index: {'changed' if changed else 'as it should be'}")
    return 0


@group.command()
@click.option("--query", default="thingName:*", show_default=True, help="Which devices, in the language of AWS's index.")
@click.option("--out", type=FILE, metavar="FILE", help="Where they go, one JSON object a line.")
@aws_option.region
@aws_option.profile
def reports(query: str, out: Path | None, region: str | None, profile: str | None) -> int:
    """What the index knows of each device: connected, seen, why it was lost, its health."""
    from provisioning import output_file
    from provisioning.aws import fleet_index

    if out:
        output_file.check(out, output_file.INDEX_REPORTS)
    account = aws_option.connected(region, profile)
    rows = list(fleet_index.reports(account, query))
    if out:
        output_file.write(out, "".join(json.dumps(row) + "\n" for row in rows).encode(), output_file.INDEX_REPORTS)
    if not rows:
        say("note: the query fits no thing.")
    counts = {
        "devices": len(rows),
        "connected": sum(row["connected"] is True for row in rows),
        "never": sum(row["connected"] is False and row["seen"] is None for row in rows),
        "health": sum(row["health"] is not None for row in rows),
    }
    data: dict[str, Any] = {"region": account.region, "query": query, "file": str(out) if out else None, **counts}
    if not out:
        data["reports"] = rows
    summary = f"{counts['devices']} devices: {counts['connected']} connected, {counts['never']} never were, {counts['health']} with health"
    emit(data, lambda: "\n".join([*([] if out else map(json.dumps, rows)), summary]))
    return 0
