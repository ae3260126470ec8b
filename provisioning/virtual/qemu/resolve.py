"""From options to the plain values of an emulated board: the image, the chip it is for, the board type, what this QEMU has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from provisioning.errors import InputError
from provisioning.virtual.faults import parse as parse_fault
from provisioning.virtual.named import named_board
from provisioning.virtual.qemu import emulator, faults, firmware
from provisioning.virtual.qemu.machines import FLASH_SIZES, MACHINES, QemuMachine
from provisioning.virtual.spec import BoardSpec

if TYPE_CHECKING:
    from provisioning.virtual.options import VirtualOptions

# Options that change how the other engine's chip is, not what it does: said and skipped.
_SKIPPED = {
    "flash_timing": "--flash-timing: the flash of an emulated chip takes what QEMU takes",
    "heap": "--heap: the firmware sets its own heap",
    "clock": "--clock: an emulated chip starts in the year 2000",
}


def resolve(options: VirtualOptions, named: BoardSpec) -> BoardSpec:
    """`named` is the board type that the options name; the result is what runs. Raises InputError and StationError."""
    if options.qemu is None:
        raise InputError(
            "option", "--engine qemu needs --qemu DIR, the folder of a QEMU with Espressif's chips", "See docs/virtual-board.md."
        )
    for fault in options.faults:
        faults.check(parse_fault(fault))
    held = _held(options)
    image = None if options.blank else options.firmware
    if image is None and held is None and not options.blank:
        raise InputError(
            "option", "--engine qemu needs --firmware FILE, an image that the chip starts with", "Or --blank, for a chip from the factory."
        )
    placed = firmware.place(image) if image else firmware.place(held) if held and not options.chip and not options.named else None
    machine = _machine(options, placed, named)
    spec = named if options.named else replace(_board_of(machine, options), faults=named.faults)
    if spec.chip != machine.chip and options.named and not options.chip:
        raise InputError(
            "firmware-chip", f"The image is for the {machine.chip}, the board '{spec.board}' has an {spec.chip}", "Name another --board."
        )
    if spec.flash_size not in FLASH_SIZES:
        raise InputError("flash-size", f"QEMU has no flash of {spec.flash_size >> 20} MB", "Give --flash-size 2MB, 4MB, 8MB or 16MB.")
    if image and placed and max(placed.size, placed.offset + len(placed.content)) > spec.flash_size:
        sentence = f"The image {image} is made for more flash than the {spec.flash_size >> 20} MB of the board"
        raise InputError("firmware-size", sentence, "Give --flash-size, or the image for this flash.")
    found = emulator.find(options.qemu, machine)
    skipped = tuple(f"{why} (skipped)" for name, why in _SKIPPED.items() if getattr(options, name) != getattr(type(options)(), name))
    return replace(
        spec,
        chip=machine.chip,
        engine="qemu",
        qemu=str(found.binary),
        machine=found.machine,
        card=found.card,
        wifi=found.wifi,
        firmware=str(image.absolute()) if image else "",
        notes=(*skipped, *_kept(image, held)),
    )


def _held(options: VirtualOptions) -> Path | None:
    """The flash file of an earlier run."""
    if options.state is None:
        return None
    folder = options.state if options.count == 1 else options.state / "00"
    return folder / "flash.bin" if (folder / "flash.bin").exists() else None


def _kept(image: Path | None, held: Path | None) -> tuple[str, ...]:
    return (f"--firmware: {held} is there and stays as it is (skipped)",) if image and held else ()


def _machine(options: VirtualOptions, placed: firmware.Placed | None, named: BoardSpec) -> QemuMachine:
    """By the image, else by --chip, else by the board. Raises InputError."""
    chip = placed.chip if placed else options.chip or named.chip
    if placed and options.chip and options.chip != placed.chip:
        raise InputError("firmware-chip", f"The image is for the {placed.chip}, not for the {options.chip}", "Leave --chip out.")
    if chip not in MACHINES:
        raise InputError("qemu-chip", f"QEMU does not emulate the {chip}", f"It has {', '.join(MACHINES)}.")
    return MACHINES[chip]


def _board_of(machine: QemuMachine, options: VirtualOptions) -> BoardSpec:
    """No board was named: the one of this chip in boards/."""
    return named_board(replace(options, board=machine.board, chip=None))
