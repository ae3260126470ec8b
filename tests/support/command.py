"""The real command, of this checkout, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from provisioning.cli import main

TWINROOT = (sys.executable, "-m", "provisioning")


def twinroot_command(*arguments: str | Path) -> list[str]:
    """Its argument vector."""
    return [*TWINROOT, *map(str, arguments)]


def twinroot(
    *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 110
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(twinroot_command(*arguments), cwd=cwd, capture_output=True, text=True, timeout=timeout, env=env, check=False)


def twinroot_json(*arguments: str | Path, env: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any], str]:
    """Exit code, the one JSON object on standard output, what stands on standard error."""
    done = twinroot(*arguments, "--json", env=env)
    return done.returncode, json.loads(done.stdout), done.stderr


class InProcess:
    """The same without a process: for what a test has replaced in the product."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, dict[str, Any], str]:
        self._capsys.readouterr()
        code = main.run([*arguments, "--json"])
        said = self._capsys.readouterr()
        return code, json.loads(said.out), said.err
