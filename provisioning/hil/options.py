"""The options of tests on boards, named as pytest-embedded names them, and what they say together.

Several boards are written with a bar between them, as there: `--port "/dev/ttyUSB0|/dev/ttyUSB1" --count 2`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

BAR = "|"
VIRTUAL = "virtual"
# As the commands: the first that is set names the port. Source: provisioning/link/port_names.py ENVIRONMENT.
PORT_VARIABLES = ("TWINROOT_PORT", "ESPPORT")
ENGINE_VARIABLE = "TWINROOT_ENGINE"
DEFAULT_BAUD = 115200
DEFAULT_SOAK = 5


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
    Option("--engine", "what the boards are: virtual, qemu, serial, …; default: TWINROOT_ENGINE, else serial with a port, virtual without"),
    Option("--port", "a board's port, or `virtual`; default: TWINROOT_PORT, then ESPPORT, then a virtual board"),
    Option("--port-mac", "the board with this MAC, whatever its port is called"),
    Option("--port-serial-number", "the board whose USB adapter has this serial number"),
    Option("--target", "the chip that the board must have: esp32, esp32s3, …"),
    Option("--count", "how many boards the tests may use at once; default: as many as are named, one virtual board"),
    Option("--baud", "the rate of the board's prompt; default 115200"),
    Option("--board", "board type, a name in boards/ or a YAML file; default: by the chip that the board reports"),
    Option("--device-map", "a device map (`twinroot devices scan`): its connected boards are the ports"),
    Option("--product", "the product file of the fixture `product`; default: product.yaml beside or above the tests, else an example"),
    Option("--product-device", "the device of that product; default: the first of its list"),
    Option("--cloud-host", "an address of this computer that a real board reaches: the cloud stand-in answers there"),
    Option("--replace", "let tests remove or change what a real board holds: a product, files of a test that is `destructive`", flag=True),
    Option("--paced", "virtual boards have wires with a rate, and flash that takes its time", flag=True),
    Option("--board-cov", "files and folders, with a bar between them, whose lines that run on boards are measured (coverage.py)"),
    Option("--board-report", "write one HTML page with the boards' identities, the tests' measures as plots, and their serial logs"),
    Option("--soak", "rounds of the acceptance's soak; default 5"),
    Option("--qemu", "engine qemu: folder of a QEMU with Espressif's chips; default: TWINROOT_QEMU"),
    Option("--firmware", "engine qemu, and the flash step of the acceptance: the image; default: TWINROOT_QEMU_FIRMWARE"),
)


@dataclass(frozen=True)
class Wanted:
    """The boards that the tests run on. `ports` is empty where the engine makes its boards; `count` is None where nobody limits it."""

    ports: tuple[str, ...] = ()
    count: int | None = None
    engine: str | None = None
    target: str | None = None
    board: str | None = None
    baud: int = DEFAULT_BAUD
    cloud_host: str | None = None
    replace: bool = False
    product: str | None = None
    device: str | None = None
    paced: bool = False
    qemu: str | None = None
    firmware: str | None = None
    board_cov: tuple[str, ...] = ()
    soak: int = DEFAULT_SOAK

    @property
    def flash_timing(self) -> str:
        return "typical" if self.paced else "none"

    def share(self, worker: int, workers: int) -> Wanted:
        """What worker `worker` of `workers` has of the named ports: no port is ever shared."""
        return replace(self, ports=self.ports[worker::workers]) if self.ports else self


def _split(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(BAR) if part.strip()]


def _number(text: str, name: str, what: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{name} {text} is not a {what}.")
    return int(text)


def wanted(given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Wanted:
    """What `given` (option key -> value) asks for. Raises ValueError, with a sentence, where that cannot be."""
    named = {
        "--port": _split(given.get("port")),
        "--port-mac": [f"mac:{mac}" for mac in _split(given.get("port_mac"))],
        "--port-serial-number": [f"usb:{serial}" for serial in _split((given.get("port_serial_number") or "").replace(",", BAR))],
        "--device-map": list(given.get("device_map_ports") or ()),
    }
    used = [name for name, ports in named.items() if ports]
    if len(used) > 1:
        raise ValueError(f"{' and '.join(used)} both name the board: give one of them.")
    engine = given.get("engine") or environment.get(ENGINE_VARIABLE) or None
    makes_boards = engine is not None and engine in (VIRTUAL, "qemu")
    ports = named[used[0]] if used else _split(next((environment[name] for name in PORT_VARIABLES if environment.get(name)), None))
    if ports == [VIRTUAL]:
        ports, engine = [], engine or VIRTUAL
    elif makes_boards and used:
        raise ValueError(f"--engine {engine} makes its own boards, and {used[0]} names one: give one of them.")
    elif makes_boards:
        ports = []  # the environment's port is for runs that name no engine
    count = given.get("count")
    # pytest-embedded's --count has the default 1, which says nothing about ports that are named.
    limit = None if count is None or (count == 1 and not isinstance(count, str)) else _number(str(count), "--count", "number of boards")
    if ports and limit is not None and limit > len(ports):
        raise ValueError(f"--count {limit} asks for more boards than the {len(ports)} that are named.")
    target = (given.get("target") or "").replace("-", "").lower()
    return Wanted(
        ports=tuple(ports[:limit]),
        count=limit if limit is not None else len(ports) or None,
        engine=engine,
        target=None if target in ("", "auto") else target,
        board=given.get("board"),
        baud=_number(str(given.get("baud") or DEFAULT_BAUD), "--baud", "rate"),
        cloud_host=given.get("cloud_host"),
        replace=bool(given.get("replace")),
        product=given.get("product"),
        device=given.get("product_device"),
        paced=bool(given.get("paced")),
        qemu=given.get("qemu"),
        firmware=given.get("firmware"),
        soak=_number(str(given.get("soak") or DEFAULT_SOAK), "--soak", "number of rounds"),
        board_cov=tuple(_split(given.get("board_cov"))),
    )
