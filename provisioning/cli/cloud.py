"""`twinroot cloud`: run the local stand-in for AWS IoT Core, or change one that runs."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from provisioning.cli._options import PATH
from provisioning.cli._output import emit, mode, say
from provisioning.errors import InputError, StationError

_LINE = 100  # characters of a message that are shown


@click.command()
@click.option("--state", type=PATH, help="Folder that keeps the test roots and ports; without it they end with the run.")
@click.option(
    "--scenario", multiple=True, metavar="[ROUTE=]NAME", help="How an endpoint behaves from the start; route ats if none is named."
)
@click.option("--set", "changes", multiple=True, metavar="[ROUTE=]NAME", help="Change the stand-in that runs on --state, and return.")
@click.option("--status", is_flag=True, help="What the stand-in that runs on --state has seen, and return.")
@click.option("--scenarios", "table", is_flag=True, help="List the scenarios and what a device must report, and return.")
@click.option("--issue", multiple=True, metavar="DEVICE", help="Make a client certificate for DEVICE.")
@click.option("--port", multiple=True, metavar="ROUTE=PORT", help="Port of an endpoint; otherwise that of the last run, or a free one.")
@click.option("--region", help="Region of the endpoints' names.", default="us-east-1", show_default=True)
@click.option("--prefix", help="Account prefix of the endpoints' names.", default="a1b2c3d4e5f6g7", show_default=True)
@click.option("--broker", help="auto, amqtt (embedded) or mosquitto.", default="auto", show_default=True)
@click.option("--client-ca", type=PATH, multiple=True, metavar="FILE", help="Accept this CA's client certificates, too.")
@click.option(
    "--limit", multiple=True, metavar="OPERATION=RATE", help="Requests a second that the account takes of an operation (*: of each)."
)
def command(
    state: Path | None,
    scenario: tuple[str, ...],
    changes: tuple[str, ...],
    status: bool,
    table: bool,
    issue: tuple[str, ...],
    port: tuple[str, ...],
    region: str,
    prefix: str,
    broker: str,
    client_ca: tuple[Path, ...],
    limit: tuple[str, ...],
) -> int:
    """A local stand-in for AWS IoT Core: one account, two endpoints, each with a root of its own, mutual TLS and a real MQTT broker.

    It runs until it is told to stop (control-C, SIGTERM). Nothing of it is reachable from outside this machine.
    """
    if table:
        return _table()
    if sys.platform == "win32":
        raise StationError("no-stand-in", "The cloud stand-in runs on Linux and macOS.", "Run it in WSL, or on another machine.")
    if changes or status:
        return _change(state, changes, status)
    return _run(state, scenario, issue, port, region, prefix, broker, client_ca, limit)


def _table() -> int:
    from provisioning.standin.scenarios import SCENARIOS

    rows = list(SCENARIOS.values())
    emit(
        {"scenarios": [{"name": row.name, "does": row.does, "device": row.device} for row in rows]},
        lambda: "\n".join(f"{row.name:<21} {row.device or 'connects':<9} {row.does}" for row in rows),
    )
    return 0


def _change(state: Path | None, changes: tuple[str, ...], status: bool) -> int:
    from provisioning.standin.control import ask
    from provisioning.standin.scenarios import parse_one

    if state is None:
        raise InputError("cloud-state", "--set and --status need --state.", "Name the folder that the stand-in runs on.")
    wanted = [parse_one(word) for word in changes]
    for route, row in wanted:
        ask(state, {"do": "scenario", "route": route, "name": row.name})
    answer = ask(state, {"do": "status"})
    answer = {key: value for key, value in answer.items() if key not in ("id", "ok")}
    emit(answer, lambda: _seen(answer) if status else "  ".join(f"{route}: {row.does}" for route, row in wanted))
    return 0


def _seen(answer: dict[str, Any]) -> str:
    lines = [f"{route}: {name}" for route, name in answer["scenario"].items()]
    lines += [
        f"{event['at']:9.3f}s  {event['route']:<7} {event['outcome']} {event['certificate']} {event['reason']}".rstrip()
        for event in answer["connections"]
    ]
    lines += [_request(event) for event in answer["requests"]]
    lines += [
        f"{event['at']:9.3f}s  {event['route']:<7} {event['client']}: {event['topic']} {_shown(event['payload'])}"
        for event in answer["messages"]
    ]
    return "\n".join(lines)


def _request(event: dict[str, Any]) -> str:
    return f"{event['at']:9.3f}s  account {event['operation']}: {event['status']} {event['code']}".rstrip()


def _shown(payload: str) -> str:
    """A message on a line; `--json` has it whole."""
    return payload if len(payload) <= _LINE else f"{payload[:_LINE]}… ({len(payload)} characters)"


def _run(
    state: Path | None,
    scenario: tuple[str, ...],
    issue: tuple[str, ...],
    port: tuple[str, ...],
    region: str,
    prefix: str,
    broker: str,
    client_ca: tuple[Path, ...],
    limit: tuple[str, ...],
) -> int:
    import asyncio

    from provisioning.standin.process import limits, ports, run
    from provisioning.standin.service import StandinOptions

    temporary = None if state else Path(tempfile.mkdtemp(prefix="twinroot-cloud-"))
    try:
        options = StandinOptions(
            state=state or temporary or Path(),
            scenario=scenario,
            prefix=prefix,
            region=region,
            broker=broker,
            ports=ports(list(port)),
            client_cas=client_ca,
            devices=issue,
            limits=limits(list(limit)),
        )
        # A program that reads the one object may never read standard error: a full pipe would stop the stand-in.
        asyncio.run(run(options, lambda info: emit(info, lambda: _text(info)), None if mode.json else _tell))
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)
    return 0


def _tell(event: dict[str, Any]) -> None:
    """One line on standard error for what happens at the endpoints."""
    if event["event"] == "message":
        say(f"{event['at']:9.3f}s  {event['route']:<7} {event['client']} published {event['topic']}: {_shown(event['payload'])}")
    elif event["event"] == "request":
        say(_request(event))
    else:
        who = event["certificate"] or "a client"
        say(f"{event['at']:9.3f}s  {event['route']:<7} {who}: {event['outcome']} {event['reason']} ({event['scenario']})")


def _identity(devices: dict[str, dict[str, str]]) -> str:
    """Where the files of one device are, or of each of several."""
    name, files = next(iter(devices.items()))
    if len(devices) > 1:
        files = {what: str(Path(path).with_name(Path(path).name.replace(name, "{device}", 1))) for what, path in files.items()}
    return f'identity: {{certificate: "{files["certificate"]}", key: "{files["key"]}"}}'


def _text(info: dict[str, Any]) -> str:
    """What to put into a product file."""
    lines = ["# The cloud stand-in is ready; control-C stops it. For a product file:", "", "cloud:", f"  region: {info['region']}"]
    lines += [f"  endpoint: {info['routes'][0]['endpoint']}"]
    lines += ["roots:"]
    for row in info["routes"]:
        name = row["root"]
        standing = ", status: distrusted" if row["name"] == "legacy" else ""  # as that of the real one
        lines += [f'  {name}: {{file: "{info["roots"][name]}", sha256: "{info["pins"][name]}"{standing}}}']
    bench = ", ".join(f"{row['name']}: [{row['root']}]" for row in info["routes"])
    lines += ["lab:", f"  roots: {{{bench}}}", "  resolve:"]
    lines += [f'    "{name}": "{address}"' for name, address in info["resolve"].items()]
    if info["account"]:
        lines += [f"# The account, for `twinroot aws` and AWS's own tools: . {shlex.quote(info['account']['environment'])}"]
    if info["devices"]:
        lines += [f"# {', '.join(info['devices'])}", _identity(info["devices"])]
    return "\n".join(lines)
