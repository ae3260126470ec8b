"""The boards of a desk as a device map, in the form of Zephyr's hardware map: a list, a board an entry, known by its MAC.

    - connected: true
      id: 24:0a:c4:00:00:01
      platform: esp32-generic
      product: CP2102 USB to UART Bridge Controller
      runner: esp32
      serial: /dev/ttyUSB0

What a person adds to an entry (fixtures, notes, another platform, …) stays when the map is made again. Source of the form: Zephyr's
scripts/schemas/twister/hwmap-schema.yaml and twisterlib/hardwaremap.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from provisioning.atomic_files import replace
from provisioning.config.load import list_boards, load_board
from provisioning.errors import BoardError, InputError, StationError, TwinrootError
from provisioning.job.selftest import chip_of, mac_text
from provisioning.link.adapters import plugged
from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl

FILE = "device-map.yaml"
_RUNNER = "esp32"  # Zephyr's word for what flashes Espressif's chips
_UNKNOWN = "unknown"
_NEEDED = ("connected", "id", "platform", "product", "runner")
_FOUND = ("serial", "serial_pty")  # what a scan says anew each time
_WHO = "(lambda m,s:(m.unique_id().hex(),s.implementation._machine))(__import__('umachine'),__import__('sys'))"
_ASKED_AT_ONCE = 16
Entry = dict[str, Any]


def platform_of(chip: str | None) -> str:
    """The first board type of boards/ with this chip; "unknown" for none. Whoever knows better writes it into the map."""
    for name in list_boards():
        if chip and not name.startswith("virtual") and load_board(name).chip.replace("-", "") == chip:
            return name
    return _UNKNOWN


def ask(port: str) -> Entry:
    """The entry for the board at `port`. Raises TwinrootError when it does not answer, or nobody may open the port."""
    with open_port(port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        uid, machine = repl.value(_WHO)
        repl.leave()
        name = wire.name
    usb = {listed.device: listed for listed in plugged()}.get(name)
    product = (usb.product or usb.description) if usb is not None else _UNKNOWN
    where = {"serial": name} if usb is not None or "://" in name else {"serial_pty": name}
    return {
        "connected": True,
        "id": mac_text(uid),
        "platform": platform_of(chip_of(machine)),
        "product": product,
        "runner": _RUNNER,
        **where,
    }


def scan(ports: Iterable[str]) -> tuple[list[Entry], dict[str, TwinrootError]]:
    """(an entry for each port with a board that answers, port -> what keeps another one from being asked)."""

    def one(port: str) -> Entry | TwinrootError:
        try:
            return ask(port)
        except (BoardError, StationError, InputError) as error:
            return error

    named = list(ports)
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as askers:
        answers = dict(zip(named, askers.map(one, named), strict=True))
    entries = [answer for answer in answers.values() if not isinstance(answer, TwinrootError)]
    return entries, {port: answer for port, answer in answers.items() if isinstance(answer, TwinrootError)}


def merged(before: list[Entry], found: list[Entry]) -> list[Entry]:
    """The map `before` with what a scan has found: a board that is there has its new port, one that is not is not connected, a new one is
    appended; everything else of an entry is a person's and stays."""
    there = {entry["id"]: entry for entry in found}
    result = []
    for entry in before:
        kept = {key: value for key, value in entry.items() if key not in _FOUND}
        new = there.pop(entry["id"], None)
        ports = {key: new[key] for key in _FOUND if key in new} if new else {}
        result.append({**kept, "connected": new is not None, **ports})
    return result + [there[key] for key in sorted(there)]


def load(file: Path) -> list[Entry]:
    """Raises InputError for a file that is not a device map."""
    try:
        entries = yaml.safe_load(file.read_text("utf-8"))
    except OSError as error:
        raise InputError("device-map", f"{file} cannot be read: {error.strerror}.", "`twinroot devices scan` writes one.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            "device-map", f"{file} is not YAML: {str(error).splitlines()[0]}.", "`twinroot devices scan` writes one."
        ) from None
    entries = [] if entries is None else entries
    if not isinstance(entries, list):
        raise InputError("device-map", f"{file} is not a list of boards.", "`twinroot devices scan` writes one.")
    for number, entry in enumerate(entries, 1):
        missing = [key for key in _NEEDED if not isinstance(entry, dict) or key not in entry]
        if missing:
            raise InputError("device-map", f"{file}: entry {number} has no {missing[0]!r}.", "Each entry needs " + ", ".join(_NEEDED) + ".")
    return entries


def save(file: Path, entries: list[Entry]) -> None:
    """Raises StationError where it cannot be written."""
    try:
        replace(file, yaml.safe_dump(entries, sort_keys=False, allow_unicode=True).encode())
    except OSError as error:
        raise StationError("cannot-write", f"{file} cannot be written: {error.strerror or error}.", "Name another file.") from None


def ports(file: Path, target: str | None = None, listed: Callable[[], Iterable[str]] | None = None) -> list[str]:
    """The boards of the map that are connected, as --port takes them: by MAC where the port is one of this computer's, which has another
    name tomorrow, else by the port. `target`: only those with this chip. Raises InputError where none is left."""
    names = {port.device for port in plugged()} if listed is None else set(listed())
    found = []
    for entry in load(file):
        if entry["connected"] and (port := entry.get("serial") or entry.get("serial_pty")):
            chip = _chip_of_platform(entry["platform"])
            if target is None or chip in (None, target.replace("-", "").lower()):
                found.append(f"mac:{entry['id']}" if port in names else str(port))
    if not found:
        raise InputError(
            "device-map", f"{file} has no connected board{f' with an {target}' if target else ''}.", "Run `twinroot devices scan`."
        )
    return found


def _chip_of_platform(platform: Any) -> str | None:
    name = str(platform).split()[0]
    return load_board(name).chip.replace("-", "") if name in list_boards() else None
