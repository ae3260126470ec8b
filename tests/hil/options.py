"""The options of the hardware tests, named as pytest-embedded names them, and what they say together.

Several boards are written with a bar between them, as there: `--port "/dev/ttyUSB0|/dev/ttyUSB1" --count 2`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BAR = "|"
# As the commands: the first that is set names the port. Source: provisioning/link/port.py ENVIRONMENT.
PORT_VARIABLES = ("TWINROOT_PORT", "ESPPORT")


@dataclass(frozen=True)
class Option:
    """One option; `flag` takes no value."""

    name: str
    help: str
    flag: bool = False

    @property
    def key(self) -> str:
        return self.name.removeprefix("--").replace("-", "_")


OPTIONS = (
    Option("--port", "a real board's port, or `virtual`; default: TWINROOT_PORT, then ESPPORT, then a virtual board"),
    Option("--port-mac", "the real board with this MAC, whatever its port is called"),
    Option("--port-serial-number", "the real board whose USB adapter has this serial number"),
    Option("--target", "the chip that the board must have: esp32, esp32s3, …"),
    Option("--count", "how many boards the tests may use at once; default 1"),
    Option("--board", "board type, a name in boards/ or a YAML file; default: by the chip that the board reports"),
    Option("--cloud-host", "an address of this computer that a real board reaches: the cloud stand-in answers there"),
    Option("--replace", "let the tests remove a product that a real board holds", flag=True),
)


@dataclass(frozen=True)
class Wanted:
    """The boards that the tests run on. `ports` is empty for virtual boards."""

    ports: tuple[str, ...]
    count: int
    target: str | None
    board: str | None
    cloud_host: str | None
    replace: bool

    @property
    def real(self) -> bool:
        return bool(self.ports)


def _split(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(BAR) if part.strip()]


def wanted(given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Wanted:
    """What `given` (option key -> value) asks for. Raises ValueError, with a sentence, where that cannot be."""
    named = {
        "--port": _split(given.get("port")),
        "--port-mac": [f"mac:{mac}" for mac in _split(given.get("port_mac"))],
        "--port-serial-number": [f"usb:{serial}" for serial in _split(given.get("port_serial_number"))],
    }
    used = [name for name, ports in named.items() if ports]
    if len(used) > 1:
        raise ValueError(f"{' and '.join(used)} both name the board: give one of them.")
    ports = named[used[0]] if used else _split(next((environment[name] for name in PORT_VARIABLES if environment.get(name)), None))
    if ports == ["virtual"]:
        ports = []
    text = str(given.get("count") or len(ports) or 1)
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"--count {text} is not a number of boards.")
    count = int(text)
    if ports and count > len(ports):
        raise ValueError(f"--count {count} asks for more boards than the {len(ports)} that are named.")
    return Wanted(
        tuple(ports[:count]),
        count,
        (given.get("target") or "").replace("-", "").lower() or None,
        given.get("board"),
        given.get("cloud_host"),
        bool(given.get("replace")),
    )
