"""Make the virtual environment of a checkout, on a machine that has nothing but Python.

    python3 provisioning/_bootstrap.py .venv EXTRA

EXTRA is one of pyproject.toml's: `virtual` for the demo, `dev` for the tests.

Uses the standard library only: it runs before anything is installed. Debian's and Ubuntu's python3 come without ensurepip, so there are
three ways, each tried when the one before it is not there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 10)


def _say(text: str) -> None:
    sys.stderr.write(f"twinroot: {text}\n")


def _python_of(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _has_pip(python: str | Path) -> bool:
    return subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0


def _with_ensurepip(venv: Path) -> bool:
    """Python's own way; fails where the distribution has split ensurepip off."""
    return subprocess.run([sys.executable, "-m", "venv", str(venv)], capture_output=True, check=False).returncode == 0


def _with_own_pip(venv: Path) -> bool:
    """An environment without pip, filled by the pip of the Python that runs this."""
    if not _has_pip(sys.executable):
        return False
    if subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=False).returncode != 0:
        return False
    return subprocess.run([sys.executable, "-m", "pip", "--python", str(venv), "install", "-q", "pip"], check=False).returncode == 0


def _with_system_package(venv: Path) -> bool:
    """Debian and Ubuntu: the package that they split off, when this user may install it."""
    if not shutil.which("apt-get") or getattr(os, "geteuid", lambda: 1)() != 0:
        return False
    _say("python3-venv is missing; installing it")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    version = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False, stdout=subprocess.DEVNULL)
    for package in (version, "python3-venv"):
        command = ["apt-get", "install", "-y", "-qq", package]
        if subprocess.run(command, env=environment, check=False, stdout=subprocess.DEVNULL).returncode == 0:
            shutil.rmtree(venv, ignore_errors=True)
            return _with_ensurepip(venv)
    return False


def _make(venv: Path) -> bool:
    for way in (_with_ensurepip, _with_own_pip, _with_system_package):
        shutil.rmtree(venv, ignore_errors=True)
        if way(venv) and _has_pip(_python_of(venv)):
            return True
    return False


def main() -> int:
    if sys.version_info < OLDEST:
        _say(f"Python {'.'.join(map(str, OLDEST))} or later is needed, this is {sys.version.split()[0]}.")
        _say("  next: make PYTHON=python3.12 …, with a newer interpreter")
        return 3
    venv, extra = Path(sys.argv[1]).absolute(), sys.argv[2]
    if not (_python_of(venv).exists() and _has_pip(_python_of(venv))) and not _make(venv):
        _say("This Python cannot make a virtual environment: ensurepip and pip are both missing.")
        _say("  next: sudo apt-get install python3-venv   (Debian, Ubuntu), then run the same command again")
        return 3
    root = Path(__file__).resolve().parent.parent
    _say(f"installing into {venv.name} …")
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(
        [str(_python_of(venv)), "-m", "pip", "install", "-q", "--editable", f".[{extra}]"],
        cwd=root,
        env=environment,
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
