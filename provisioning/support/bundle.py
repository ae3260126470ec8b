"""The file that a station sends to whoever helps: versions, findings, configuration, the ledger's last rows, logs. No secret is in it.

Everything in it is text that has passed one scrubber, which knows this station's secrets and recognises others. A part that cannot be had
says why, in its place: what is asked for help is often broken.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import platform
import re
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from provisioning import __version__, doctor, logs, output_file
from provisioning.errors import InputError, TwinrootError
from provisioning.scrub import HIDDEN, Scrubber
from provisioning.support import known, masked

_LOG_BYTES = 8_000_000  # of all logs, the newest first
_LOG_EACH = 500_000  # of one, its end
_SHOWN_VARIABLES = re.compile(r"TWINROOT_(CACHE|LOGS|STATION|OPERATOR|LEDGER_WAIT)|LANG|LC_ALL|VIRTUAL_ENV|PYTHONPATH")
_NAMED_VARIABLES = re.compile(r"(TWINROOT|ESP|PG|AWS|PYTHON|SSL|REQUESTS|HTTPS?_PROXY|NO_PROXY)", re.IGNORECASE)
_README = """What `twinroot support-bundle` put together. Values that are secret, or may be, are "{hidden}"; nothing else was changed.

versions.json      twinroot, Python, system, what is installed
doctor.json        what the station has and lacks
environment.json   variables: the values of a few, of the others that they are set
product/, board/   the product file and its board file: what is known to be harmless, the shape of the rest
devices.json       the list of devices: its columns and how many rows
ledger.json        where the ledger is, how many rows, whether its chain holds
ledger.jsonl       its last rows
logs/              of boards by day and MAC, and what esptool said

Names of operators and computers, MACs and serial numbers are in it.
"""


@dataclass(frozen=True)
class Wanted:
    """`product`: the product file; `ledger`: its location; both None where there is none to name. `rows`: of the ledger."""

    product: Path | None
    devices: Path | None
    ledger: str | None
    rows: int


def write(out: Path, wanted: Wanted) -> list[str]:
    """Write the bundle; returns the names in it. Raises InputError where another file is there, StationError where it cannot be written."""
    output_file.check(out, output_file.SUPPORT_BUNDLE)
    product, devices, hidden = _product(wanted)
    secrets = [*known.of_environment()]
    if wanted.product is not None:
        secrets += known.of_product(wanted.product, hidden, devices)
    from provisioning.ledger.location import locate
    from provisioning.ledger.place import default

    where = wanted.ledger or default()
    try:
        secrets += locate(where).secrets
    except InputError:
        secrets.append(where.partition("://")[2])
    scrubber = Scrubber(secrets)
    parts: dict[str, Callable[[], Iterator[tuple[str, str]]]] = {
        "versions.json": lambda: iter([("versions.json", _json(scrubber, _versions()))]),
        "doctor.json": lambda: iter([("doctor.json", _json(scrubber, [asdict(found) for found in doctor.examine()]))]),
        "environment.json": lambda: iter([("environment.json", _json(scrubber, _environment()))]),
        "product": lambda: ((file, scrubber.text(text)) for file, text in product),
        "devices.json": lambda: iter([("devices.json", _json(scrubber, _devices(devices)))] if devices else []),
        "ledger.json": lambda: _ledger(scrubber, where, wanted.rows),
        "logs": lambda: _logs(scrubber),
    }
    made: dict[str, str] = {"README.txt": _README.format(hidden=HIDDEN)}
    for name, part in parts.items():
        try:
            made |= {scrubber.text(file): text for file, text in part()}
        except TwinrootError as error:
            made[f"{name}.missing.txt"] = scrubber.text(f"{error.code}: {error.message} {error.hint}\n")
        except Exception as error:  # noqa: BLE001  one part that fails must not keep the others back
            made[f"{name}.missing.txt"] = scrubber.text(f"{type(error).__name__}: {error}\n")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, text in made.items():
            archive.writestr(file, text)
    output_file.write(out, packed.getvalue(), output_file.SUPPORT_BUNDLE, mode=0o600)
    return list(made)


def _json(scrubber: Scrubber, value: Any) -> str:
    return json.dumps(scrubber.value(value), indent=1, default=str, ensure_ascii=False) + "\n"


def _versions() -> dict[str, Any]:
    needed = importlib.metadata.requires("twinroot") or [] if _installed("twinroot") else []
    names = sorted({re.split(r"[^A-Za-z0-9._-]", text)[0] for text in needed})
    return {
        "twinroot": __version__,
        "python": sys.version,
        "system": platform.platform(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "installed": {name: _installed(name) for name in names},
    }


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _environment() -> dict[str, str]:
    """Of a few variables the value; of those that have to do with this, that they are set."""
    shown = {name: value for name, value in os.environ.items() if _SHOWN_VARIABLES.fullmatch(name)}
    return shown | {name: "(set)" for name in os.environ if _NAMED_VARIABLES.match(name) and name not in shown}


def _product(wanted: Wanted) -> tuple[list[tuple[str, str]], Path | None, list[str]]:
    """Product and board file as they may be shown, where the list of devices is, and the values that are not shown."""
    if wanted.product is None:
        return [], wanted.devices, []
    import yaml

    text, hidden = masked.masked(wanted.product, masked.PRODUCT)
    found = [(f"product/{wanted.product.name}", text)]
    try:
        named = yaml.safe_load(text) or {}
    except yaml.YAMLError:
        named = {}
    devices, board = wanted.devices, named.get("board") if isinstance(named, dict) else None
    if devices is None and isinstance(named, dict) and isinstance(named.get("devices"), str):
        devices = wanted.product.parent / named["devices"]
    if isinstance(board, str):
        from provisioning.config.load import list_boards
        from provisioning.resources import folder

        file = folder("boards") / f"{board}.yaml" if board in list_boards() else wanted.product.parent / board
        text, more = masked.masked(file, masked.BOARD)
        found.append((f"board/{file.name}", text))
        hidden += more
    return found, devices, hidden


def _devices(file: Path) -> dict[str, Any]:
    lines = file.read_text("utf-8-sig", "replace").splitlines()
    return {"file": file.name, "first line": lines[0] if lines else "", "rows": max(len(lines) - 1, 0)}


def _ledger(scrubber: Scrubber, where: str, count: int) -> Iterator[tuple[str, str]]:
    from provisioning.ledger.chain_check import verify
    from provisioning.ledger.store import Ledger

    with Ledger.open(where, create=False) as ledger:
        found = verify(ledger.rows(), {})
        about = {"ledger": ledger.location, "form": ledger.form(), "rows": found.rows, "ok": found.ok}
        yield "ledger.json", _json(scrubber, about | {"faults": [fault.message for fault in found.faults[:20]]})
        rows = (json.dumps(scrubber.value(entry.as_dict()), ensure_ascii=False) for entry in ledger.last(count))
        yield "ledger.jsonl", "".join(row + "\n" for row in rows)


def _logs(scrubber: Scrubber) -> Iterator[tuple[str, str]]:
    """The newest first."""
    left = _LOG_BYTES
    for day in reversed(logs.days(logs.folder())):
        for file in sorted(day.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True):
            if left <= 0:
                return
            data = file.read_bytes()[-_LOG_EACH:]
            left -= len(data)
            lines = data.decode("utf-8", "replace").splitlines()
            # Line by line where they are JSON, so that they stay it; else as a whole, for what goes over several lines.
            text = "\n".join(_line(scrubber, line) for line in lines) if file.suffix == ".jsonl" else scrubber.text("\n".join(lines))
            yield f"logs/{day.name}/{file.name}", text + "\n"


def _line(scrubber: Scrubber, line: str) -> str:
    try:
        return json.dumps(scrubber.value(json.loads(line)), ensure_ascii=False)
    except ValueError:
        return scrubber.text(line)
