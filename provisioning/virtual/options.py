"""The options of `twinroot virtual` and `python -m provisioning.virtual`, and the sentences for wrong ones."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from provisioning.chips import VIRTUAL
from provisioning.errors import InputError
from provisioning.virtual import inject, rtc
from provisioning.virtual.faults import HEAP
from provisioning.virtual.faults import parse as parse_fault
from provisioning.virtual.nor_flash import PROFILES

ENGINES = ("micropython", "qemu")
DEFAULT_BOARD = "virtual-esp32"
LINKS = ("rfc2217", "pty")
FLASH_TIMINGS = tuple(PROFILES)
# The chip's own USB port -> chips that have it.
USB = {kind: tuple(name for name, chip in VIRTUAL.items() if chip.virtual and kind in chip.virtual.usb) for kind in ("jtag", "otg")}
MOST_BOARDS = 64


@dataclass
class VirtualOptions:
    """Values as given; `check` says what is wrong with them."""

    board: str = DEFAULT_BOARD
    engine: str = "micropython"
    qemu: Path | None = None
    firmware: Path | None = None
    replay: Path | None = None
    count: int = 1
    link: str = "rfc2217"
    state: Path | None = None
    chip: str | None = None
    flash_size: str | None = None
    heap: str | None = None
    port: int = 0
    paced: bool = True
    latency_ms: float = 0.0
    flash_timing: str = "none"
    blank: bool = False
    seed: int = 0
    clock: str = "2000"
    usb: str = ""
    straight: bool = False
    faults: list[str] = field(default_factory=list)
    injects: list[str] = field(default_factory=list)
    json: bool = False

    def check(self) -> None:
        """Raises InputError for the first value that cannot be."""
        for value, allowed, option in (
            (self.engine, ENGINES, "--engine"),
            (self.link, LINKS, "--link"),
            (self.flash_timing, FLASH_TIMINGS, "--flash-timing"),
            (self.usb, ("", *USB), "--usb"),
            (self.chip, (None, *VIRTUAL), "--chip"),
        ):
            if value not in allowed:
                choices = ", ".join(name for name in allowed if name)
                raise InputError("option", f"{option} {value} is not one of {choices}", f"Give {option} one of them.")
        if self.usb and self.engine != "micropython":
            raise InputError("option", f"--usb {self.usb} is for the engine micropython, not for {self.engine}", "Leave it out.")
        if self.usb and (self.chip or "") not in USB[self.usb]:
            chips = ", ".join(USB[self.usb])
            raise InputError("option", f"--usb {self.usb} is for the chips {chips}", "Name one of them with --chip.")
        if self.engine != "qemu" and (self.qemu or self.firmware):
            option = "--qemu" if self.qemu else "--firmware"
            raise InputError("option", f"{option} is for the engine qemu, not for {self.engine}", "Add --engine qemu, or leave it out.")
        if self.replay and (self.engine != ENGINES[0] or self.blank or self.usb):
            other = "--engine" if self.engine != ENGINES[0] else "--blank" if self.blank else "--usb"
            raise InputError("option", f"--replay has a board of its own, which {other} does not fit", f"Leave {other} out.")
        if not rtc.WORD.fullmatch(self.clock):
            raise InputError("option", f"--clock {self.clock} is not a time such as {rtc.EXAMPLE}", "See docs/virtual-board.md.")
        for fault in self.faults:
            parse_fault(fault)
        inject.check(self.injects, self.state)
        if not 1 <= self.count <= MOST_BOARDS:
            raise InputError("option", f"--count {self.count} is not between 1 and {MOST_BOARDS}", "Start more than one process.")
        if not 0 <= self.port <= 65535 - self.count:
            raise InputError("option", f"--port {self.port} is not a TCP port with {self.count} free after it", "Leave it out.")
        if not 0 <= self.latency_ms <= 1000:
            raise InputError("option", f"--latency-ms {self.latency_ms:g} is not between 0 and 1000", "USB adapters need 1 to 16.")
        if self.heap is not None and not HEAP.match(self.heap):
            raise InputError("option", f"--heap {self.heap} is not a size such as 160wK or 200K", "See docs/virtual-board.md.")
        if self.flash_size is not None and self.flash_size.upper() not in _FLASH_SIZES:
            choices = ", ".join(_FLASH_SIZES)
            raise InputError("option", f"--flash-size {self.flash_size} is not one of {choices}", "Give one of them.")
        if self.state is not None and self.state.exists() and not self.state.is_dir():
            raise InputError("state-not-folder", f"--state {self.state} is a file, not a folder", "Name a folder, or a new name.")

    @property
    def named(self) -> bool:
        """Whether a board was asked for by name."""
        return self.board != DEFAULT_BOARD

    @property
    def flash_bytes(self) -> int | None:
        return _FLASH_SIZES[self.flash_size.upper()] if self.flash_size else None


_FLASH_SIZES = {f"{n}MB": n << 20 for n in (1, 2, 4, 8, 16, 32)}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError("option", message[:1].upper() + message[1:], "`--help` lists the options.")


def parse(arguments: list[str]) -> VirtualOptions:
    """Options from a command line. Raises InputError."""
    parser = _Parser(prog="python -m provisioning.virtual", description="Run virtual ESP32 boards until told to stop.")
    default = VirtualOptions()
    parser.add_argument("--board", default=default.board, help="board type: a name in boards/ or a YAML file")
    parser.add_argument("--engine", default=default.engine, help="micropython, or qemu: an emulated chip that runs your firmware image")
    parser.add_argument("--qemu", type=Path, default=None, metavar="DIR", help="engine qemu: folder of a QEMU with Espressif's chips")
    parser.add_argument("--firmware", type=Path, default=None, metavar="FILE", help="engine qemu: the image that a new board starts with")
    parser.add_argument("--replay", type=Path, default=None, metavar="FILE", help="say again what a board said in a recorded session")
    parser.add_argument("--count", type=int, default=1, help="how many boards")
    parser.add_argument("--link", default=default.link, help="what `port` names: rfc2217 or pty (both are always there)")
    parser.add_argument("--state", type=Path, default=None, help="folder for flash and identity; without it they are gone at the end")
    parser.add_argument("--chip", default=None, help="instead of the board's chip")
    parser.add_argument("--flash-size", default=None, help="instead of the board's, such as 8MB")
    parser.add_argument("--heap", default=None, help="MicroPython's heap, such as 160wK (words) or 200K (bytes)")
    parser.add_argument("--port", type=int, default=0, help="first TCP port; 0: any free one")
    parser.add_argument("--unpaced", dest="paced", action="store_false", help="wires without a rate: as fast as this computer")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="cost of each turn of direction")
    parser.add_argument("--flash-timing", default="none", help="none, typical, worst or slow: 20 ms for every operation")
    parser.add_argument("--blank", action="store_true", help="a chip from the factory: nothing in flash")
    parser.add_argument("--seed", type=int, default=0, help="identity and faults follow from it; 0: a new identity")
    parser.add_argument("--clock", default="2000", help="what the RTC says at power on: 2000, host (this computer's time), host+90m")
    parser.add_argument("--straight", action="store_true", help="DTR and RTS lead straight to IO0 and EN, without transistors")
    parser.add_argument("--usb", default="", help="the chip's own USB port, which goes away with each reset: jtag or otg")
    parser.add_argument(
        "--fault", dest="faults", action="append", default=[], help="a fault from the start, such as flip=0.001; see the docs"
    )
    parser.add_argument(
        "--inject",
        dest="injects",
        action="append",
        default=[],
        metavar="WHAT",
        help="start nothing: set a fault on the board that runs on --state, or heal, power-off, power-on, unplug, plug, counters",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per board on standard output")
    options = VirtualOptions(**vars(parser.parse_args(arguments)))
    options.check()
    return options
