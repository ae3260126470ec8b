"""esptool's own test suite against the virtual board: `python -m tests.virtual.conformance --esptool CHECKOUT`.

The suite is run from the checkout that is named; nothing of it is kept here. Every test talks to a board through RFC 2217 with
real reset lines. pyserial's client waits 50 ms for each setting, so the tests are spread over several boards at once.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from provisioning.virtual import VirtualBoard
from provisioning.virtual.rom.facts import EXTRA_ESPTOOL

# What cannot pass through this port, and why.
_SERVER = "esptool's own RFC 2217 server sets the lines with ioctl, so it needs a local serial device behind it"
EXPLAINED = {
    "TestLoadRAM::test_load_ram": "runs the chip's machine code from RAM, which a board without such a CPU cannot",
    "TestLoadRAM::test_load_ram_hex": "runs the chip's machine code from RAM, which a board without such a CPU cannot",
    "TestVirtualPort::test_auto_detect_virtual_port": _SERVER,
    "TestVirtualPort::test_highspeed_flash_virtual_port": _SERVER,
}

# Beside esptool itself. bitstring 5 took names away that esptool uses.
SUITE_NEEDS = ("bitstring<5", "pytest", "pytest-rerunfailures", "pyelftools", "requests")
_INSTALL_TIMEOUT = 900.0  # s


@dataclass
class Result:
    test: str
    outcome: str  # passed, failed, skipped
    seconds: float
    message: str


def applicable(checkout: Path, chip: str, workdir: Path, python: str) -> list[str]:
    """The tests that need a port, as pytest names them."""
    command = [python, "-m", "pytest", "test_esptool.py", "--collect-only", "-q", "-m", "not host_test", *_options(chip, "x")]
    done = subprocess.run(command, cwd=workdir, capture_output=True, text=True, timeout=300)
    # pytest names them from its root folder, which may lie above.
    tests = ["test_esptool.py::" + line.split("::", 1)[1] for line in done.stdout.splitlines() if "test_esptool.py::" in line]
    if not tests:
        raise SystemExit(f"no tests found in {checkout}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return tests


def _options(chip: str, port: str) -> list[str]:
    # Our own pytest settings must not reach the suite, nor its own leave reports in the checkout.
    return ["-o", "addopts=", "-p", "no:cacheprovider", "--chip", chip, "--port", port, "--baud", "115200"]


def weights(suite: Path) -> dict[str, int]:
    """How many times each test function starts esptool, roughly: for an even spread."""
    found: dict[str, int] = {}
    for node in ast.walk(ast.parse(suite.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            calls = [ast.unparse(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)]
            found[node.name] = 1 + sum(any(word in call for word in ("run_esptool", "readback", "connect_esp", "_test_")) for call in calls)
    return found


def spread(tests: list[str], weight: dict[str, int], shards: int) -> list[list[str]]:
    """Longest first, each to the shard with the least so far."""

    def cost(test: str) -> int:
        return weight.get(test.split("::")[-1].split("[")[0], 2)

    groups: list[list[str]] = [[] for _ in range(shards)]
    for test in sorted(tests, key=cost, reverse=True):
        min(groups, key=lambda group: sum(map(cost, group))).append(test)
    return [group for group in groups if group]


def work_copy(checkout: Path, target: Path) -> Path:
    """The tests write beside themselves: each shard has its own copy of them and links to the rest."""
    target.mkdir()
    for entry in checkout.iterdir():
        if entry.name == "test":
            shutil.copytree(entry, target / "test")
        elif entry.name not in (".git", "esptool", "espefuse", "espsecure", "pyproject.toml"):
            (target / entry.name).symlink_to(entry)
    return target / "test"


def results(report: Path) -> list[Result]:
    """From pytest's JUnit report."""
    if not report.exists():
        return []
    out = []
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').split('.')[-1]}::{case.get('name')}"
        bad = [child for child in case if child.tag in ("failure", "error")]
        skipped = [child for child in case if child.tag == "skipped"]
        outcome = "failed" if bad else "skipped" if skipped else "passed"
        message = (bad or skipped)[0].get("message", "") if bad or skipped else ""
        detail = (bad[0].text or "") if bad else ""
        out.append(Result(name, outcome, float(case.get("time", "0")), message.splitlines()[0] if message else detail[-300:]))
    return out


def environment(checkout: Path, folder: Path) -> str:
    """A Python environment in `folder` with the checkout's esptool and what its suite needs; the path of its Python."""
    source = folder / "esptool"
    # Installed from a copy: a build leaves files in its source.
    shutil.copytree(checkout, source, ignore=shutil.ignore_patterns(".git", "build", "*.egg-info"))
    venv.create(folder / "venv", with_pip=True)
    python = str(folder / "venv" / "bin" / "python")
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(source), *SUITE_NEEDS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[-1:]
        raise SystemExit(
            f"error: esptool of {checkout} cannot be installed: {' '.join(said)}\nGive --python of an environment that has it."
        )
    return python


def run(checkout: Path, python: str, chip: str, shards: int, only: str, log: Path | None) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="conformance-") as temporary:
        base = Path(temporary)
        first = work_copy(checkout, base / "0")
        tests = [test for test in applicable(checkout, chip, first, python) if only in test]
        if not tests:
            raise SystemExit(f"error: no test's name contains {only!r}\nLeave --only out to run all.")
        groups = spread(tests, weights(first / "test_esptool.py"), shards)
        boards: list[VirtualBoard] = []
        jobs = []
        try:
            # The wires have no rate here: the suite is about the protocol. Pacing is measured elsewhere.
            for _ in groups:
                boards.append(VirtualBoard(chip=chip, paced=False, flash_size="4MB").start())
            for i, (group, board) in enumerate(zip(groups, boards, strict=True)):
                where = first if i == 0 else work_copy(checkout, base / str(i))
                report = base / f"{i}.xml"
                command = [python, "-m", "pytest", *group, f"--junitxml={report}", *_options(chip, board.rfc2217)]
                output = (log / f"{i}.txt" if log else base / f"{i}.txt").open("w")
                environment = {**os.environ, "NO_COLOR": "1"}
                jobs.append((report, output, subprocess.Popen(command, cwd=where, stdout=output, stderr=output, env=environment)))
            for _, output, job in jobs:
                job.wait(3600)
                output.close()
            return [result for report, _, _ in jobs for result in results(report)]
        finally:
            for _, _, job in jobs:
                if job.poll() is None:
                    job.kill()
            for board in boards:
                board.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--esptool", type=Path, required=True, help="a checkout of github.com/espressif/esptool")
    parser.add_argument("--python", help="a Python with an esptool 5.x and pytest; without it a temporary one gets the checkout's esptool")
    parser.add_argument("--chip", default="esp32")
    parser.add_argument("--shards", type=int, default=10, help="boards at once; pyserial's client mostly sleeps")
    parser.add_argument("--only", default="", help="tests whose name contains this")
    parser.add_argument("--log", type=Path, help="folder for pytest's output")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not (arguments.esptool / "test" / "test_esptool.py").exists():
        sys.stderr.write(f"error: {arguments.esptool} is not a checkout of esptool: it has no test/test_esptool.py\n")
        return 2
    if arguments.log:
        arguments.log.mkdir(parents=True, exist_ok=True)
    # The checkout's flasher stub is a flasher stub too.
    os.environ[EXTRA_ESPTOOL] = str(arguments.esptool.resolve())
    checkout = arguments.esptool.resolve()
    with tempfile.TemporaryDirectory(prefix="conformance-python-") as folder:
        if arguments.python is None:
            sys.stderr.write("Installing the checkout's esptool in a temporary environment ...\n")
        python = arguments.python or environment(checkout, Path(folder))
        began = time.monotonic()
        found = run(checkout, python, arguments.chip, arguments.shards, arguments.only, arguments.log)
    seconds = time.monotonic() - began
    counted = {kind: sum(r.outcome == kind for r in found) for kind in ("passed", "failed", "skipped")}
    if arguments.json:
        print(json.dumps({**counted, "seconds": round(seconds), "failures": [r.__dict__ for r in found if r.outcome == "failed"]}))
    else:
        print(f"{arguments.chip}: {counted['passed']} of {counted['passed'] + counted['failed']} pass, "
              f"{counted['skipped']} do not apply, {seconds:.0f} s")  # fmt: skip
        for result in found:
            if result.outcome == "failed":
                print(f"  {result.test}: {EXPLAINED.get(result.test, result.message)}")
    return 0 if all(result.outcome != "failed" or result.test in EXPLAINED for result in found) else 1


if __name__ == "__main__":
    sys.exit(main())
