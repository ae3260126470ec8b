"""Which rate to write at: the highest that works on this adapter, found by falling back, remembered for the next board."""

from __future__ import annotations

import json
from pathlib import Path

from provisioning import atomic_files, result_cache
from provisioning.config.board_type import BoardType
from provisioning.link import rates
from provisioning.parsed import from_json


def _file() -> Path:
    return result_cache.folder() / "baud.json"


def _remembered() -> dict[str, int]:
    try:
        data = from_json(_file().read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # a cache: gone or damaged, it is found out again
    return {str(k): v for k, v in data.items() if isinstance(v, int)} if isinstance(data, dict) else {}


def adapter(port: str) -> str:
    """What a rate is remembered for: the USB adapter by its ids and serial number, any other port by its name."""
    if "://" in port:
        return port.split("?")[0]
    from serial.tools import list_ports

    found = next((p for p in list_ports.comports() if p.device == port), None)
    if found is None or found.vid is None:
        return port
    return f"{found.vid:04x}:{found.pid or 0:04x}:{found.serial_number or found.location or port}"


def ladder(board: BoardType, key: str, fixed: int | None = None, native: bool = False) -> tuple[int, ...]:
    """Rates to try, in order. `fixed`: the one that was asked for. On `native` USB a rate means nothing: one."""
    if fixed is not None:
        return (fixed,)
    if native or board.native_usb:
        return (rates.HOME,)
    first = min(_remembered().get(key, board.baud.rom or board.baud.max), board.baud.max)
    return (first, *(rate for rate in rates.FLASH if rate < first))


def remember(key: str, rate: int) -> None:
    """Keep the rate that worked. Not being able to is no reason to fail."""
    known = _remembered()
    if known.get(key) == rate:
        return
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        atomic_files.replace(_file(), json.dumps({**known, key: rate}, indent=1, sort_keys=True).encode())
    except OSError:
        return
