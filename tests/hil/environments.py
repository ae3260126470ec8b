"""Environments of their own for packages that may not share the project's: made from the package index once, in the user's cache folder."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from provisioning.result_cache import folder

ROOT = Path(__file__).parents[2]
_LIMIT = 300.0  # seconds for an installation; 8 on a quiet computer


def _ready(name: str, package: str) -> Path:
    """The folder of an environment with `package`, made where it is not there yet. Skips where it cannot be installed."""
    version = ".".join(map(str, sys.version_info[:2]))
    home = folder() / "environments" / f"{name}-{package.replace('==', '-')}-{version}"
    home.parent.mkdir(parents=True, exist_ok=True)
    done = home / "complete"
    with home.with_name(f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # workers that come at the same time wait for the first
        if done.exists():
            return home
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, symlinks=True)
        command = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install", "-q", package]
        try:
            made = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip(f"{package} could not be installed within {_LIMIT:g} s")
        if made.returncode:
            pytest.skip(f"{package} cannot be installed here: {(made.stderr.strip().splitlines() or ['pip failed'])[-1]}")
        done.touch()
    return home


def labgrid() -> Path:
    """The bin folder of an environment with labgrid, whose pyserial is a fork: TWINROOT_LABGRID_ENV, or one that is made."""
    named = os.environ.get("TWINROOT_LABGRID_ENV")
    return (Path(named) if named else _ready("labgrid", "labgrid==26.0.1")) / "bin"


def pytest_embedded() -> Path:
    """The packages of an environment with pytest-embedded, whose plugin acts in every run where it is installed."""
    named = os.environ.get("TWINROOT_PYTEST_EMBEDDED_ENV")
    home = Path(named) if named else _ready("pytest-embedded", "pytest-embedded==2.9.3")
    return next((home / "lib").glob("python3.*")) / "site-packages"
