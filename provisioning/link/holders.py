"""Which other programs have a serial port open, where the operating system tells: /proc on Linux, lsof on macOS."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_LSOF_LIMIT = 5.0  # seconds
_PTY = re.compile(r"/dev/pts/(\d+)")


# Services that take serial ports which are not theirs, by the name of their process: what they do, and how they leave a port alone.
SERVICES = {
    "brltty": (
        "takes CH340 and CP210x adapters for Braille displays: their ports vanish or are busy",
        "sudo systemctl mask --now brltty.service brltty-udev.service, or remove the package brltty; then plug the board in again.",
    ),
    "ModemManager": (
        "opens each new port for some seconds to look for a modem, and writes to it",
        "Wait ten seconds and run the command again; for good: sudo systemctl mask --now ModemManager.service, if no modem is used.",
    ),
}


def meddlers() -> list[str]:
    """Which of SERVICES run on this computer; empty where the system does not tell."""
    found = set()
    for comm in _PROC.glob("[0-9]*/comm"):
        try:
            found.add(comm.read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError):
            continue  # processes end
    return [name for name in SERVICES if name in found]


def advice(programs: list[str]) -> str:
    """What to do about the first of these holders of a port that is such a service; "" for none."""
    for name, (does, cure) in SERVICES.items():
        if any(program.split(" (")[0] == name for program in programs):
            return f"{name} {does}. {cure}"
    return ""


def holders(device: str) -> list[str]:
    """The programs but this one that have `device` open, as "name (pid N)", by pid; empty when the system does not tell.

    The program at the other end of a pseudo-terminal is the board, not another user of the port: it is left out.
    """
    found = _by_proc(os.path.realpath(device)) if _PROC.joinpath("self", "fd").is_dir() else _by_lsof(device)
    return [f"{name} (pid {pid})" for pid, name in sorted(found.items()) if pid != os.getpid()]


def _by_proc(device: str) -> dict[int, str]:
    pty = _PTY.fullmatch(device)
    found = {}
    for process in _PROC.glob("[0-9]*"):
        try:
            opened = dict(_descriptors(process))
            if device in opened.values() and not (pty and _has_master(process, opened, pty[1])):
                found[int(process.name)] = process.joinpath("comm").read_text(encoding="utf-8").strip()
        except OSError:
            continue  # processes end, and others' descriptors are not ours to read
    return found


def _descriptors(process: Path) -> Iterator[tuple[str, str]]:
    for link in process.joinpath("fd").iterdir():
        try:
            yield link.name, str(link.readlink())
        except OSError:
            continue  # closed meanwhile


def _has_master(process: Path, opened: dict[str, str], number: str) -> bool:
    """Whether the process has the master of pseudo-terminal `number`. A kernel that does not tell numbers: any master."""
    masters = [name for name, path in opened.items() if path.endswith("/ptmx")]
    said = [process.joinpath("fdinfo", name).read_text(encoding="utf-8") for name in masters]
    numbers = [match[1] for text in said if (match := re.search(r"^tty-index:\s*(\d+)", text, re.MULTILINE))]
    return number in numbers if numbers else bool(masters)


def _by_lsof(device: str) -> dict[int, str]:
    program = shutil.which("lsof")
    if program is None:
        return {}
    try:
        said = subprocess.run([program, "-Fpc", device], capture_output=True, text=True, timeout=_LSOF_LIMIT, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return {int(pid): name for pid, name in re.findall(r"^p(\d+)\nc(.*)$", said, re.MULTILINE)}
