"""A row of boards: one process per port, no device twice, one board's failure is nobody else's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from provisioning.config.device import load_devices
from provisioning.config.load import load_product
from provisioning.errors import InputError, StationError
from provisioning.job import ports as ports_module
from provisioning.job import station as station_module
from provisioning.job.allow import allowed_macs, normal
from provisioning.job.many import Finished, PortResult, exit_code
from provisioning.job.plan import FlashOptions, FlashPlan
from provisioning.job.ports import expand
from provisioning.job.report import Report
from provisioning.job.station import FlashJob, station
from provisioning.ledger.store import Ledger
from provisioning.link.events import Event
from provisioning.virtual import VirtualBoard
from tests.flash import products

linux = pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")


@linux
def test_three_boards_one_of_them_bad(tmp_path: Path) -> None:
    made = products.make(tmp_path / "p")
    boards = [VirtualBoard(paced=False, blank=True, chip=chip).start() for chip in ("esp32", "esp32c3", "esp32")]
    try:
        ports = [f"--port={board.port}" for board in boards]
        code, result, said = made.twinroot("station", str(made.product), "--devices", str(made.devices), *ports)
        assert code == 1 and (result["passed"], result["boards"]) == (2, 3), said
        outcomes = [row["code"] for row in result["rows"]]
        assert outcomes == ["pass", "wrong-chip", "pass"]
        devices = [row["device"] for row in result["rows"]]
        assert devices == ["ws-0001", None, "ws-0002"], "in the order of the ports, and the bad board took no serial number"
        assert [row["attempts"] for row in result["rows"]] == [1, 1, 1], "a wrong chip is not tried again"
        # Again: the same boards are the same devices. Without --json each result is printed once, as it comes.
        command = [sys.executable, "-m", "provisioning", "station", str(made.product), "--devices", str(made.devices), *ports]
        again = subprocess.run(command, capture_output=True, text=True, env=made.environment(), timeout=110, check=False)
        assert again.returncode == 1
        for row in result["rows"]:
            lines = [line for line in again.stdout.splitlines() if row["port"] in line and line.startswith(("PASS ", "FAIL "))]
            assert len(lines) == 1 and (row["device"] or "-") in lines[0] and "PASS" not in again.stderr
        assert again.stdout.count("next: ") == 1 and again.stdout.splitlines()[-1].startswith("2 of 3 boards passed in ")
    finally:
        for board in boards:
            board.close()
    code, verdict, _ = made.twinroot("ledger", "verify")
    assert code == 0 and verdict["ok"]


@linux
def test_a_control_c_leaves_each_board_in_order_and_says_how(tmp_path: Path) -> None:
    made = products.make(tmp_path / "p")
    with VirtualBoard(paced=False, blank=True) as board:
        command = [sys.executable, "-m", "provisioning", "station", str(made.product), f"--ports={board.port},rfc2217://127.0.0.1:9"]
        station = subprocess.Popen(
            [*command, f"--devices={made.devices}", "--retries=0", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=made.environment(),
            start_new_session=True,
        )
        assert station.stderr is not None and station.stdout is not None
        said = ""
        for line in station.stderr:
            said += line
            if line.endswith(": write\n"):
                os.killpg(station.pid, signal.SIGINT)  # as a terminal does: to every process
        code, result = station.wait(60), json.loads(station.stdout.read())
    assert code == 130 and result["code"] == "interrupted" and "Traceback" not in said, said
    stopped, absent = result["rows"]
    assert (stopped["code"], stopped["mac"], stopped["device"]) == ("interrupted", board.mac, "ws-0001")
    assert stopped["message"].startswith("Interrupted in write. Its flash is half written")
    assert absent["code"] == "port-not-found"
    with Ledger.open(made.ledger) as ledger:
        last = list(ledger.entries())[-1].fields
    assert (last["outcome"], last["code"], last["device"], last["wrote"]) == ("error", "interrupted", "ws-0001", True)


@linux
def test_a_board_that_is_another_device_than_the_label_says_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --devices, too, where a board may otherwise stay a device that is not in the product's list."""
    made = products.at_home(products.make(tmp_path / "p"), monkeypatch)
    made.product.write_text(made.product.read_text() + "devices: devices.csv\nscan: {field: device}\n")
    job = FlashJob(made.product, None, str(made.ledger), FlashOptions(only=False))

    def scanned(device: str) -> Report:
        return station_module.task(job, None, None, device).run(board.port, lambda _event: None)

    with VirtualBoard(paced=False, blank=True) as board:
        assert (scanned("ws-0001").code, scanned("ws-0001").code) == ("pass", "unchanged")
        board.clear_counters()
        refused = scanned("ws-0002")
        assert (refused.outcome, refused.code) == ("error", "mac-used") and "is device ws-0001 already" in refused.message
        assert not board.counters()["flash_programs"]
        made.forget()
        assert scanned("ws-0002").code == "other-device", "the board says so, whatever the ledger knows"


@linux
def test_flash_on_several_ports(tmp_path: Path) -> None:
    """The same engine behind `flash`; a port that is not there is nobody else's business."""
    made = products.make(tmp_path / "p")
    nowhere = "rfc2217://127.0.0.1:9"
    with VirtualBoard(paced=False, blank=True) as board:
        ports = ["--port", f"{board.port},{nowhere}", "--retries", "0"]
        scanned = made.product.with_name("scanned.yaml")
        scanned.write_text(made.product.read_text() + "scan: {field: device}\n")
        code, result, said = made.twinroot("station", str(scanned), "--devices", str(made.devices), *ports)
        assert [row["code"] for row in result["rows"]] == ["scan-needed", "port-not-found"] and code == 3, said
        assert not board.counters()["flash_programs"], "nothing is written before a label was scanned"
        code, result, said = made.twinroot("flash", str(made.product), "--devices", str(made.devices), *ports)
        assert (code, result["outcome"], result["passed"], result["boards"]) == (3, "error", 1, 2), said
        assert [(row["port"], row["code"], row["device"]) for row in result["reports"]] == [
            (board.port, "pass", "ws-0001"),
            (nowhere, "port-not-found", None),
        ]
        # One plain port is one report, whatever else could be meant.
        code, report, said = made.twinroot("flash", str(made.product), "--device", "ws-0001", "--port", board.port)
        assert (code, report["code"]) == (0, "unchanged") and "reports" not in report, said
        code, report, _ = made.twinroot("flash", str(made.product), "--device", "ws-0001", *ports)
        assert (code, report["code"]) == (2, "bad-arguments")


def test_which_arguments_mean_several_boards() -> None:
    from provisioning.cli._many import several

    for one in ([], ["auto"], ["/dev/ttyUSB0"], ["COM5"], ["rfc2217://[::1]:4000"], ["virtual"]):
        assert not several(one, None)
    assert (
        several([], 1) and several(["auto"], 4) and several(["a", "b"], None) and several(["a,b"], None) and several(["/dev/ttyUSB*"], None)
    )


def test_the_environment_names_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    from provisioning.cli._many import named

    monkeypatch.delenv("TWINROOT_PORT", raising=False)
    monkeypatch.setenv("ESPPORT", "/dev/cu.My Board")
    assert named(()) == ("/dev/cu.My Board",) and named(("COM5",)) == ("COM5",)
    monkeypatch.delenv("ESPPORT")
    assert named(()) == ()


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[products.Made, FlashJob]:
    made = products.make(tmp_path / "p")
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    return made, FlashJob(made.product, made.devices, str(made.ledger), FlashOptions())


def go(job: tuple[products.Made, FlashJob], ports: list[str], retries: int) -> list[PortResult]:
    made, one = job
    Ledger.open(made.ledger).close()
    return station(one, FlashPlan.of(load_product(made.product)), load_devices(made.devices), ports, retries, lambda _port, _event: None)


def test_only_what_failed_is_tried_again(job: tuple[products.Made, FlashJob], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Workers are real processes; what they do on a port is decided by the port's name here."""

    def fake(_plan: Any, _devices: Any, port: str, _ledger: Any, _options: Any, _events: Any, _source: Any) -> Report:
        tries = tmp_path / port
        tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
        if port == "good" or (port == "second" and len(tries.read_text()) == 2):
            return Report().passed("ok")
        code = {"never": "no-answer", "second": "line-errors", "refused": "wrong-chip"}[port]
        return Report().failed(StationError(code, "It failed.", "Look."))

    monkeypatch.setattr(station_module, "flash", fake)
    rows = {row.port: row for row in go(job, ["good", "second", "never", "refused"], retries=2)}
    assert {port: row.attempts for port, row in rows.items()} == {"good": 1, "second": 2, "never": 3, "refused": 1}
    assert {port: row.passed for port, row in rows.items()} == {"good": True, "second": True, "never": False, "refused": False}
    assert exit_code(list(rows.values())) == 3


@linux
def test_a_worker_that_dies_is_a_row_and_no_more(job: tuple[products.Made, FlashJob], monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(_plan: Any, _devices: Any, port: str, _ledger: Any, _options: Any, events: Any, _source: Any) -> Report:
        events(Event("step", {"name": "write"}))
        if port == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if port == "surprise":
            raise ZeroDivisionError("x")
        return Report().passed("ok")

    monkeypatch.setattr(station_module, "flash", fake)
    rows = {row.port: row for row in go(job, ["dies", "good", "surprise"], retries=0)}
    assert rows["good"].passed
    assert rows["dies"].report["code"] == "worker-died" and rows["surprise"].report["code"] == "internal-error"
    assert "Traceback" not in json.dumps([row.as_dict() for row in rows.values()])


def test_ports(tmp_path: Path) -> None:
    for name in ("tty1", "tty2", "tty10"):
        (tmp_path / name).touch()
    (tmp_path / "by-id").symlink_to(tmp_path / "tty1")
    every = [str(tmp_path / name) for name in ("tty1", "tty10", "tty2")]
    assert expand([f"{tmp_path}/tty*"]) == every
    assert expand([f"{tmp_path}/tty1,{tmp_path}/tty2"], 2) == [every[0], every[2]]
    assert expand([f"{tmp_path}/tty*"], 2) == every[:2]
    with pytest.raises(InputError) as caught:
        expand([f"{tmp_path}/tty1", f"{tmp_path}/by-id"])
    assert caught.value.code == "port-twice", "two names of one port are one port"
    with pytest.raises(InputError):
        expand([" , "])
    with pytest.raises(StationError) as few:
        expand([f"{tmp_path}/tty*"], 4)
    assert few.value.code == "too-few-boards"
    with pytest.raises(StationError):
        expand([f"{tmp_path}/none*"])


def test_auto_takes_every_board_that_is_plugged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    plugged = [types.SimpleNamespace(device=f"/dev/ttyUSB{n}") for n in range(3)]
    monkeypatch.setattr(ports_module, "candidates", lambda _more: plugged)
    assert expand(["auto"]) == [port.device for port in plugged]
    assert expand(["auto"], 2) == ["/dev/ttyUSB0", "/dev/ttyUSB1"]
    assert expand(["/dev/ttyUSB1", "auto"]) == ["/dev/ttyUSB1", "/dev/ttyUSB0", "/dev/ttyUSB2"]
    with pytest.raises(StationError) as few:
        expand(["auto"], 4)
    assert few.value.code == "too-few-boards" and "4 boards" in few.value.message


def test_the_list_of_allowed_boards(tmp_path: Path) -> None:
    file = tmp_path / "allow.txt"
    file.write_text("# batch 7\n24:0A:C4:00:00:01  # first\n240ac4000002\n24-0a-c4-00-00-03\n\n")
    assert allowed_macs(file, []) == {f"24:0a:c4:00:00:0{n}" for n in (1, 2, 3)}
    file.write_text("24:0a:c4:00:00:01\nhello\n")
    with pytest.raises(InputError, match=":2: "):
        allowed_macs(file, [])
    with pytest.raises(InputError):
        allowed_macs(tmp_path / "none", [])
    assert normal("nonsense") is None


@linux
def test_a_row_with_a_mac_is_for_that_board(tmp_path: Path) -> None:
    made = products.make(tmp_path / "p")
    with VirtualBoard(paced=False, blank=True) as board:
        made.devices.write_text(f"device,mac\nws-0001,24:0a:c4:00:00:99\nws-0002,{board.mac.upper()}\n")
        code, report, said = made.twinroot("flash", str(made.product), "--devices", str(made.devices), "--port", board.port)
        assert code == 0 and report["device"] == "ws-0002", said
        made.devices.write_text("device,mac\nws-0001,24:0a:c4:00:00:99\n")
        code, report, said = made.twinroot("flash", str(made.product), "--devices", str(made.devices), "--port", board.port)
        assert (code, report["code"]) == (2, "not-allowed"), said


def test_the_live_table_says_what_is_wrong_and_what_comes_next() -> None:
    from tests.flash import scenes

    for name, events in scenes.scenes().items():
        drawn = scenes.draw(events, name)
        assert drawn.startswith("<svg")
        for report in scenes.texts(events):
            assert report["outcome"].upper() in drawn
            if report["outcome"] != "pass":
                assert report["message"].split()[0] in drawn and "next:" in drawn


def test_the_results_of_a_shift_take_little_memory() -> None:
    """As they were, in a tenth of the bytes."""
    report = Report(outcome="pass", code="pass", mac="24:0a:c4:00:00:07", exit_code=0)
    report.files = {f"/trust/1/{number}.pem": f"{number:064x}" for number in range(20)}
    row = PortResult("/dev/ttyUSB0", 2, report.as_dict(), 0)
    finished = Finished(row)
    assert finished.as_dict() == row.as_dict() and finished.passed and finished.exit_code == 0 and finished.attempts == 2
    assert len(finished._packed) < 1000
