"""The checkout of esptool: what it needs to run, which of its tests apply, and copies of them to run in."""

from __future__ import annotations

import ast
import shutil
import subprocess
import venv
from pathlib import Path

SUITE = "test_esptool.py"
# Beside esptool itself. bitstring 5 took names away that esptool uses.
_NEEDS = ("bitstring<5", "pytest", "pyelftools", "requests")
_INSTALL_TIMEOUT = 900.0  # s
_COLLECT_TIMEOUT = 300.0  # s
_STARTS_ESPTOOL = ("run_esptool", "readback", "connect_esp", "_test_")  # names of the suite's own helpers


def environment(checkout: Path, folder: Path) -> str:
    """A Python environment in `folder` with the checkout's esptool and what its suite needs; the path of its Python."""
    source = folder / "esptool"
    # Installed from a copy: a build leaves files in its source.
    shutil.copytree(checkout, source, ignore=shutil.ignore_patterns(".git", "build", "*.egg-info"))
    venv.create(folder / "venv", with_pip=True)
    python = str(folder / "venv" / "bin" / "python")
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(source), *_NEEDS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[-1:]
        raise SystemExit(
            f"error: esptool of {checkout} cannot be installed: {' '.join(said)}\nGive --python of an environment that has it."
        )
    return python


def pytest_command(python: str, chip: str, port: str, *more: str) -> list[str]:
    """pytest on the suite. Its own settings would leave reports in the checkout; no test is given a second try."""
    options = ["-o", "addopts=", "-p", "no:cacheprovider", "-p", "no:rerunfailures", "--chip", chip, "--port", port, "--baud", "115200"]
    return [python, "-m", "pytest", *more, *options]


def applicable(python: str, chip: str, workdir: Path) -> list[str]:
    """The tests that need a port, as pytest names them."""
    command = pytest_command(python, chip, "none", SUITE, "--collect-only", "-q", "-m", "not host_test")
    done = subprocess.run(command, cwd=workdir, capture_output=True, text=True, timeout=_COLLECT_TIMEOUT, check=False)
    # pytest names them from its root folder, which may lie above.
    tests = [f"{SUITE}::" + line.split("::", 1)[1] for line in done.stdout.splitlines() if f"{SUITE}::" in line]
    if not tests:
        raise SystemExit(f"error: no tests found in {workdir}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return tests


def weights(suite: Path) -> dict[str, int]:
    """How many times each test function starts esptool, roughly: what its time depends on."""
    found: dict[str, int] = {}
    for node in ast.walk(ast.parse(suite.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            calls = [ast.unparse(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)]
            found[node.name] = 1 + sum(any(word in call for word in _STARTS_ESPTOOL) for call in calls)
    return found


def work_copy(checkout: Path, target: Path) -> Path:
    """The tests write beside themselves and beside their images: each board has its own copy of these and links to the rest."""
    tests = target / "test"
    tests.mkdir(parents=True)
    for entry in checkout.iterdir():
        if entry.name not in (".git", "esptool", "espefuse", "espsecure", "pyproject.toml", "test"):
            (target / entry.name).symlink_to(entry)
    for entry in (checkout / "test").iterdir():
        if entry.is_dir() and entry.name in ("images", "__pycache__"):
            shutil.copytree(entry, tests / entry.name)
        elif entry.is_file():
            shutil.copy2(entry, tests)
        else:
            (tests / entry.name).symlink_to(entry)
    return tests
