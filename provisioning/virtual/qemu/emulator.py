"""A QEMU that the user has: which machine and which network card it offers for a chip. It is asked; nothing is assumed from its version."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from provisioning.errors import InputError, StationError
from provisioning.virtual.qemu.machines import ALL_NAMES, ETHERNET, WIFI_MACHINES, QemuMachine

_ANSWER = 20.0  # s for a question; an answer takes a few hundredths
_WHERE = "Give --qemu the folder of Espressif's QEMU (with ESP-IDF: `idf_tools.py install qemu-xtensa qemu-riscv32`) or of a fork of it."


@dataclass(frozen=True)
class Emulator:
    """`card` is for `-nic model=`, empty where there is none; `wifi` says that it is one that stock MicroPython can use."""

    binary: Path
    machine: str
    card: str
    wifi: bool


def find(folder: Path, wanted: QemuMachine) -> Emulator:
    """What the QEMU in `folder` (or its `bin`) has for this chip.

    Raises InputError: no such folder, no QEMU in it, no machine for the chip. StationError: it does not run here.
    """
    if not folder.is_dir():
        raise InputError("qemu-folder", f"--qemu {folder} is not a folder", _WHERE)
    places = [folder / wanted.binary, folder / "bin" / wanted.binary, folder / "build" / wanted.binary]
    binary = next((place for place in places if place.is_file()), None)
    if binary is None:
        raise InputError("qemu-missing", f"{folder} holds no {wanted.binary}, which emulates the {wanted.chip}", _WHERE)
    listed = {line.split()[0] for line in _ask(binary, "-machine", "help").splitlines() if line.strip()}
    machine = next((name for name in wanted.names if name in listed), None)
    if machine is None:
        others = ", ".join(name for name in ALL_NAMES if name in listed) or "none of an ESP32"
        raise InputError("qemu-machine", f"{binary} has no machine {wanted.names[-1]} (it has {others})", _WHERE)
    if machine in WIFI_MACHINES and _knows(binary, wanted.wifi_type):
        return Emulator(binary.absolute(), machine, wanted.wifi, True)
    return Emulator(binary.absolute(), machine, ETHERNET if _knows(binary, ETHERNET) else "", False)


def _knows(binary: Path, device: str) -> bool:
    """Whether there is a device of this type. (`-nic model=help` starts a machine in some builds; this does not.)"""
    return f"{device} options:" in _ask(binary, "-machine", "none", "-device", f"{device},help")


def _ask(binary: Path, *question: str) -> str:
    """What it prints. Raises StationError when it cannot be run or does not end."""
    try:
        done = subprocess.run(
            [str(binary), *question],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_ANSWER,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        raise StationError(
            "qemu-silent",
            f"{binary} {' '.join(question)} did not end within {_ANSWER:g} s",
            "The computer is too busy, or it is not a QEMU.",
        ) from None
    except OSError as error:
        raise StationError(
            "qemu-runs-not", f"{binary} cannot be run: {error.strerror}", "Is it for this computer, and executable?"
        ) from error
    if done.returncode and not done.stdout.strip():
        raise StationError("qemu-runs-not", f"{binary} ended with {done.returncode} and said nothing", "Is it for this computer?")
    if done.returncode == 127:  # the dynamic linker's, with its sentence
        raise StationError("qemu-runs-not", f"{binary} does not start: {last_line(done.stdout)}", "Install the library that it names.")
    return done.stdout


def last_line(said: str) -> str:
    """The last line that says something."""
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
