"""Boards of a labgrid lab: a real coordinator, real exporters and labgrid's own client, in an environment of their own."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.errors import StationError
from provisioning.hil.products import ProductMaker
from provisioning.job.update import update
from provisioning.link.labgrid import lease
from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from tests.hil import environments
from tests.hil.lab import Lab

ME = f"{socket.gethostname()}/{getpass.getuser()}"
PAGE = (environments.ROOT / "docs" / "lab.md").read_text("utf-8")
DRIVERS = environments.ROOT / "provisioning" / "virtual" / "labgrid_drivers.py"


@pytest.fixture(scope="module")
def a_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(environments.labgrid(), tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def lab(a_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    for name, value in a_lab.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("LG_USERNAME", "LG_HOSTNAME", "LG_ENV"):
        monkeypatch.delenv(name, raising=False)
    return a_lab


def twinroot(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "provisioning", *arguments]


def until_free(lab: Lab, place: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (holder := lab.holder(place)) is not None:
        assert time.monotonic() < deadline, f"{place} is still held by {holder}"


def test_a_place_is_a_port_and_is_free_afterwards(lab: Lab, tmp_path: Path) -> None:
    maker = ProductMaker("virtual-esp32", tmp_path)
    report = update(maker(), maker.device, "lg:desk-0")
    assert report.outcome == "pass", report.as_dict()
    assert report.mac == lab.boards["desk-0"].mac
    assert lab.holder("desk-0") is None


@pytest.mark.long
def test_an_error_releases(lab: Lab) -> None:
    with pytest.raises(RuntimeError), lease("desk-0") as held:
        assert lab.holder("desk-0") == ME and held.place == "desk-0"
        raise RuntimeError
    assert lab.holder("desk-0") is None


def test_a_place_of_somebody_else_is_one_sentence(lab: Lab) -> None:
    lab.client("desk-1", "acquire", user="alice")
    try:
        made = subprocess.run(twinroot("verify", "--port", "lg:desk-1", "--json"), capture_output=True, text=True, timeout=60, check=False)
        report = json.loads(made.stdout)
        assert (made.returncode, report["code"]) == (3, "labgrid-held")
        assert f"held by alice on {socket.gethostname()}" in report["message"] and "release" in report["hint"]
        assert lab.holder("desk-1") == f"{socket.gethostname()}/alice"
    finally:
        lab.client("desk-1", "release", user="alice")


@pytest.mark.long
def test_what_was_acquired_by_hand_stays_so_and_a_second_run_is_refused(lab: Lab) -> None:
    lab.client("desk-1", "acquire")
    try:
        with lease("desk-1"), pytest.raises(StationError, match="Another run of yours") as caught, lease("desk-1"):
            pass
        assert caught.value.code == "labgrid-held"
        assert lab.holder("desk-1") == ME
    finally:
        lab.client("desk-1", "release")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_run_that_is_stopped_leaves_no_lease(lab: Lab, number: signal.Signals) -> None:
    board = lab.boards["desk-0"]
    board.power_off()  # so that it waits for the prompt
    try:
        run = subprocess.Popen(twinroot("verify", "--port", "lg:desk-0"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while lab.holder("desk-0") is None:
            assert run.poll() is None, "it ended before it held the place"
        run.send_signal(number)
        _, said = run.communicate(timeout=60)
        if number == signal.SIGKILL:
            until_free(lab, "desk-0", 30)
        else:
            assert lab.holder("desk-0") is None and run.returncode == 130, said
    finally:
        board.power_on()


def test_what_is_wrong_is_one_sentence(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def code_of(name: str) -> str:
        with pytest.raises(StationError) as caught, lease(name):
            pass
        return f"{caught.value.code}: {caught.value.message}"

    assert code_of("nowhere") == "labgrid-place: labgrid has no place nowhere."
    assert code_of("desk-0/modem") == "labgrid-place: The place desk-0 has no serial port modem, but NetworkSerialPort."
    assert lab.holder("desk-0") is None
    monkeypatch.setenv("LG_COORDINATOR", "127.0.0.1:9")
    assert code_of("desk-0") == "labgrid-coordinator: The labgrid coordinator at 127.0.0.1:9 does not answer."
    monkeypatch.setenv("TWINROOT_LABGRID_CLIENT", "/nowhere/labgrid-client")
    assert code_of("desk-0").startswith("labgrid-missing: /nowhere/labgrid-client cannot be run")


def configuration(folder: Path) -> Path:
    """The configuration of docs/lab.md, for desk-0, with its strategy and the drivers beside it."""
    strategy = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    text = next(block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "targets:" in block)
    (folder / "strategy.py").write_text(strategy)
    shutil.copyfile(DRIVERS, folder / "labgrid_drivers.py")
    file = folder / "lab.yaml"
    for name in ("labgrid_drivers.py", "strategy.py"):
        text = text.replace(name, str(folder / name))
    file.write_text(text.replace("desk-1", "desk-0"))
    return file


STRATEGY = """
import sys
from labgrid import Environment

target = Environment(sys.argv[1]).get_target("main")
strategy, power = target.get_driver("Strategy"), target.get_driver("PowerProtocol")
strategy.transition("prompt")
console = target.get_driver("ConsoleProtocol")
console.sendline("print('answer', 6 * 7)")
console.expect("answer 42", timeout=30)
assert power.get()
power.reset()
console.expect(">>> ", timeout=30)
strategy.transition("off")
assert not power.get()
power.cycle()
assert power.get()
print("strategy done")
"""


def test_a_strategy_of_labgrid_runs_on_a_virtual_board(lab: Lab, tmp_path: Path) -> None:
    file = configuration(tmp_path)
    (tmp_path / "run.py").write_text(STRATEGY)
    environment = os.environ | lab.environment
    environment.pop("PYTHONPATH", None)
    lab.client("desk-0", "acquire")
    try:
        made = subprocess.run(
            [str(lab.programs / "python"), str(tmp_path / "run.py"), str(file)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert "strategy done" in made.stdout, made.stdout + made.stderr
    finally:
        lab.client("desk-0", "release")


TESTS = """
def test_both(boards):
    first, second = boards(2)
    assert first.engine == "labgrid" and first.call(lambda_free, 21) == 42
    assert first.identity["mac"] != second.identity["mac"]

def lambda_free(n):
    return 2 * n

def test_power(board):
    board.power_cut()
    assert board.eval("6 * 7") == 42
"""


def run_pytest(lab: Lab, folder: Path, source: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    file = folder / "test_it.py"
    file.write_text(source)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(file), *arguments]
    paths = [os.environ.get("PYTHONPATH", ""), str(environments.ROOT)]
    variables = os.environ | lab.environment | environment | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=1500, check=False)


def test_tests_run_on_places(lab: Lab, tmp_path: Path) -> None:
    result = run_pytest(lab, tmp_path, TESTS, "--port", "lg:desk-0|lg:desk-1", LG_ENV=str(configuration(tmp_path)))
    assert "2 passed" in result.stdout, result.stdout + result.stderr
    assert [lab.holder(place) for place in lab.places] == [None, None]


MANY = """
import pytest

@pytest.mark.parametrize("number", range(16))
def test_four(boards, number, record_property):
    mine = boards(4)
    assert len({board.identity["mac"] for board in mine}) == 4
    assert [board.eval("6 * 7") for board in mine] == [42] * 4
"""


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_32_boards_of_4_exporters_on_8_workers(tmp_path: Path) -> None:
    with Lab(environments.labgrid(), tmp_path, exporters=4, boards=8) as lab:
        ports = "|".join(f"lg:{place}" for place in lab.places)
        began = time.monotonic()
        result = run_pytest(lab, tmp_path, MANY, "--port", ports, "-n", "8")
        assert "16 passed" in result.stdout, result.stdout + result.stderr
        print(f"16 tests on 4 boards each, 8 workers, 32 places: {time.monotonic() - began:.1f} s")
        assert lab.client("desk-0", "who").strip().splitlines()[1:] == []


@pytest.mark.long
def test_a_port_of_a_place_is_a_line_as_any(lab: Lab) -> None:
    with open_port("lg:desk-1") as wire:
        repl = RawRepl(wire)
        repl.enter()
        assert repl.value("6 * 7") == 42
        repl.leave()
    assert lab.holder("desk-1") is None
