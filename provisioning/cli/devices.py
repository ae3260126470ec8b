"""`twinroot devices`: which boards are here, as a device map in Zephyr's form."""

from __future__ import annotations

from pathlib import Path

import click

from provisioning.cli._options import PATH
from provisioning.cli._output import emit, say

_FILE = "device-map.yaml"


@click.group()
def command() -> None:
    """The boards of this desk as a device map, which tests take: pytest --device-map FILE."""


@command.command("scan")
@click.argument("file", metavar="FILE", type=PATH, default=_FILE, required=False)
@click.option("--port", "ports", multiple=True, help="Ask this port, a list or a pattern of them; default: all with an ESP32 board.")
def scan(file: Path, ports: tuple[str, ...]) -> None:
    """Ask each board that is plugged in who it is, and write FILE (device-map.yaml), or update it: what was added by hand stays."""
    from provisioning.hil import device_map
    from provisioning.job.ports import expand

    before = device_map.load(file) if file.exists() else []
    found, silent = device_map.scan(expand(ports or ("auto",)))
    entries = device_map.merged(before, found)
    device_map.save(file, entries)
    for port, error in silent.items():
        say(f"{port}: {error.message} {error.hint}")
    there = ", ".join(entry["id"] for entry in found) or "none"
    silent_ports = {port: {"code": error.code, "message": error.message} for port, error in silent.items()}
    emit(
        {"outcome": "pass", "file": str(file), "devices": entries, "silent": silent_ports},
        f"{file}: {len(entries)} boards, connected: {there}.",
    )


@command.command("show")
@click.argument("file", metavar="FILE", type=PATH, default=_FILE, required=False)
def show(file: Path) -> None:
    """The boards of FILE (device-map.yaml)."""
    from provisioning.hil import device_map

    entries = device_map.load(file)

    def text() -> str:
        rows = [("id", "platform", "port", "product")]
        for entry in entries:
            port = entry.get("serial") or entry.get("serial_pty") or "-"
            rows.append((str(entry["id"]), str(entry["platform"]), str(port), str(entry["product"])))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)

    emit({"outcome": "pass", "file": str(file), "devices": entries}, text)
