"""`update` on several ports at once: real boards, one of them bad; nobody becomes somebody else, and nothing is used twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provisioning.config.device import load_devices
from provisioning.config.load import load_product
from provisioning.identity.factory import ensure_identity
from provisioning.job import many, update_many
from provisioning.job.update_task import UpdateJob, UpdateTask
from provisioning.ledger import anchor, claims
from provisioning.ledger.chain_check import verify
from provisioning.ledger.store import Ledger
from provisioning.virtual import VirtualBoard
from tests.flash import products

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> products.Made:
    found = products.make(tmp_path / "product", devices=4)
    product = load_product(found.product)
    for device in load_devices(found.devices):
        ensure_identity(product, device)
    for name, value in found.environment().items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def boards() -> Iterator[list[VirtualBoard]]:
    running = [VirtualBoard(paced=False, chip=chip, link="pty").start() for chip in ("esp32", "esp32c3", "esp32")]
    yield running
    for board in running:
        board.close()


def update(made: products.Made, *arguments: str) -> tuple[int, dict[str, Any], str]:
    return made.twinroot("update", str(made.product), "--devices", str(made.devices), *arguments)


def test_three_boards_one_of_them_bad(made: products.Made, boards: list[VirtualBoard]) -> None:
    ports = [f"--port={boards[0].port},{boards[1].port}", "--port", boards[2].port]
    code, planned, said = update(made, *ports, "--dry-run")
    assert [row["code"] for row in planned["reports"]] == ["dry-run", "wrong-chip", "dry-run"], said
    assert not made.ledger.exists(), "a dry run binds nothing"
    code, result, said = update(made, *ports)
    assert (code, result["outcome"], result["passed"], result["boards"]) == (1, "fail", 2, 3), said
    rows = result["reports"]
    assert [row["code"] for row in rows] == ["pass", "wrong-chip", "pass"]
    assert [row["port"] for row in rows] == [board.port for board in boards]
    assert [row["mac"] for row in rows] == [board.mac for board in boards]
    names = {board.mac: row["device"] for board, row in zip(boards, rows, strict=True) if row["outcome"] == "pass"}
    assert len(set(names.values())) == 2
    # Again, in another order: each board stays who it is, and nothing is written.
    code, again, said = update(made, "--port", boards[2].port, "--port", boards[0].port)
    assert (code, [row["code"] for row in again["reports"]]) == (0, ["unchanged", "unchanged"]), said
    assert {row["mac"]: row["device"] for row in again["reports"]} == names
    with Ledger.open(made.ledger) as ledger:
        assert verify(ledger.rows(), anchor.read(made.ledger.with_name("ledger.sqlite.anchor"))).ok
        assert all(claims.open_attempts(ledger, board.mac) == [] for board in boards)
        bad = [entry for entry in ledger.entries(mac=boards[1].mac) if entry.kind == "outcome"]
    assert bad[-1].fields["wrote"] is False, "the bad board took no serial number"


def test_an_attempt_of_a_killed_update_is_ended(made: products.Made, boards: list[VirtualBoard]) -> None:
    good = boards[::2]
    with Ledger.open(made.ledger) as ledger:
        claims.claim(ledger, "a" * 32, good[1].mac, ["ws-0003"], {})
        claims.intend(ledger, "a" * 32, {"mac": good[1].mac, "device": "ws-0003"})
    code, result, said = update(made, *(f"--port={board.port}" for board in good))
    assert code == 0, said
    assert [row["device"] for row in result["reports"]] == ["ws-0001", "ws-0003"], "the claim of the run that died counts"
    with Ledger.open(made.ledger) as ledger:
        assert claims.open_attempts(ledger, good[1].mac) == []
        settled = [entry.fields for entry in ledger.entries(kind="outcome") if entry.attempt == "a" * 32]
    assert [(row["outcome"], row["code"]) for row in settled] == [("error", "interrupted")]


@pytest.mark.parametrize("step", ["connect", "ask", "transfer", "selftest"])
def test_a_host_that_is_killed(made: products.Made, step: str) -> None:
    """SIGKILL for the command and its workers at a step of the write; the next run finishes both boards, each as the device that it was."""
    with VirtualBoard(link="pty") as first, VirtualBoard(link="pty") as second:
        ports = [f"--port={first.port}", f"--port={second.port}"]
        command = [sys.executable, "-m", "provisioning", "update", str(made.product), "--devices", str(made.devices), *ports]
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=made.environment(), start_new_session=True
        )
        assert process.stderr is not None
        asked = False  # the first round only asks who the boards are
        for line in process.stderr:
            asked = asked or line.rstrip().endswith(": bundle")
            if asked and line.rstrip().endswith(f": {step}"):
                break
        else:
            raise AssertionError(f"the step {step} did not come")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        with Ledger.open(made.ledger) as ledger:
            before = {attempt.mac: attempt.device for board in (first, second) for attempt in claims.open_attempts(ledger, board.mac)}
        assert before
        code, result, said = update(made, *reversed(ports))
        assert code == 0, said
        now = {row["mac"]: row["device"] for row in result["reports"]}
        assert len(set(now.values())) == 2 and {mac: now[mac] for mac in before if mac} == before
        with Ledger.open(made.ledger) as ledger:
            assert [attempt for board in (first, second) for attempt in claims.open_attempts(ledger, board.mac)] == []
            assert verify(ledger.rows(), anchor.read(made.ledger.with_name("ledger.sqlite.anchor"))).ok


def test_a_board_keeps_the_device_that_it_holds(made: products.Made, boards: list[VirtualBoard]) -> None:
    """One that was updated alone, without the ledger, and a copy of it."""
    good = boards[::2]
    code, report, said = made.twinroot("update", str(made.product), "--port", good[1].port, "--device", "ws-0002")
    assert (code, report["device"]) == (0, "ws-0002") and "reports" not in report, said
    code, result, said = update(made, *(f"--port={board.port}" for board in good))
    assert [(row["code"], row["device"]) for row in result["reports"]] == [("pass", "ws-0001"), ("unchanged", "ws-0002")], said
    good[0].power_off()
    good[0].load_flash(0x200000, good[1].read_flash(0x200000, 0x8000))
    for at in range(0x200000, 0x400000, 0x10000):
        good[0].load_flash(at, good[1].read_flash(at, 0x10000))
    good[0].power_on()
    made.forget()
    code, result, _ = update(made, *(f"--port={board.port}" for board in reversed(good)))
    assert (code, [row["code"] for row in result["reports"]]) == (2, ["unchanged", "serial-used"])
    assert result["outcome"] == "error" and good[1].mac in result["reports"][1]["message"]


def test_the_field_has_no_list_no_ledger_and_no_keys(made: products.Made, boards: list[VirtualBoard], tmp_path: Path) -> None:
    good = boards[::2]
    ports = [f"--port={board.port}" for board in good]
    code, first, said = update(made, *ports)
    assert code == 0, said
    field = tmp_path / "field"
    field.mkdir()
    for name in ("product.yaml", "board.yaml", "firmware.bin"):
        (field / name).write_bytes((made.folder / name).read_bytes())
    away = replace(made, folder=field, product=field / "product.yaml", ledger=field / "ledger.sqlite")
    away.product.write_text(away.product.read_text() + "version: 2\n")
    code, result, said = away.twinroot("update", str(away.product), *reversed(ports))
    assert (code, [row["code"] for row in result["reports"]]) == (0, ["pass", "pass"]), said
    assert [row["device"] for row in reversed(result["reports"])] == [row["device"] for row in first["reports"]]
    certificates = []
    for ledger in (made.ledger, away.ledger):
        with Ledger.open(ledger) as opened:
            rows = [entry.fields for entry in opened.entries(kind="outcome") if entry.fields["outcome"] == "pass"]
        certificates.append({row["mac"]: (row["device"], row["certificate_sha256"]) for row in rows})
    assert certificates[0] == certificates[1] and len(certificates[0]) == 2
    # A board without an identity is refused, whatever the others are.
    with VirtualBoard(paced=False, link="pty") as nobody:
        code, result, said = away.twinroot("update", str(away.product), f"--port={nobody.port}", *ports)
        assert [row["code"] for row in result["reports"]] == ["no-device-left", "unchanged", "unchanged"], said


def test_one_port_is_no_other_command_than_several(made: products.Made, boards: list[VirtualBoard]) -> None:
    """The same device for a board without one, the same rows in the ledger, the same report."""
    alone, beside = boards[0], boards[2]
    code, report, said = update(made, "--port", alone.port)
    assert (code, report["code"], report["device"]) == (0, "pass", "ws-0001"), said
    code, result, said = update(made, "--port", beside.port, "--count", "1")
    [row] = result["reports"]
    assert (code, row["code"], row["device"]) == (0, "pass", "ws-0002"), said
    assert row.keys() - report.keys() == {"port", "attempts"} and report.keys() <= row.keys()
    changed = made.product.write_text(made.product.read_text() + "version: 2\n")
    assert changed and update(made, "--port", alone.port)[0] == update(made, "--port", beside.port, "--count", "1")[0] == 0
    with Ledger.open(made.ledger) as ledger:
        rows = {board.mac: [entry for entry in ledger.entries() if entry.fields.get("mac") == board.mac] for board in (alone, beside)}
        assert claims.open_attempts(ledger, alone.mac) == []
    kinds = [[entry.kind for entry in found] for found in rows.values()]
    assert kinds[0] == kinds[1] == ["claim", "intent", "outcome", "intent", "outcome"]
    fields = [[entry.fields.keys() for entry in found] for found in rows.values()]
    assert fields[0] == fields[1]
    made.devices.write_text("device\nws-0001\nws-0002\n")
    with VirtualBoard(paced=False, link="pty") as third:
        code, report, _ = update(made, "--port", third.port)
        assert (code, report["code"], report["written"]) == (2, "no-device-left", [])
    with Ledger.open(made.ledger) as ledger:
        assert list(ledger.entries(mac=third.mac)) == []


def test_boards_that_were_changed_meanwhile_are_refused(made: products.Made, boards: list[VirtualBoard]) -> None:
    job = UpdateJob(made.product, made.devices, str(made.ledger))
    task = UpdateTask(job, load_devices(made.devices)[0], "24:0a:c4:00:00:99", None)
    boards[0].clear_counters()
    report = task.run(boards[0].port, lambda _event: None)
    assert (report.code, report.exit_code) == ("other-board", 1)
    assert boards[0].counters()["flash_programs"] == 0


def test_several_boards_are_not_one_device(made: products.Made) -> None:
    code, report, _ = update(made, "--port", "/dev/a", "--port", "/dev/b", "--device", "ws-0001")
    assert (code, report["code"]) == (2, "bad-arguments")
    code, report, _ = update(made, "--port", "/dev/a", "--port", "/dev/a")
    assert (code, report["code"]) == (2, "port-twice")


def test_workers_that_are_started_afresh_load_what_they_need(made: products.Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows and macOS: what a worker gets must survive the way to another process."""
    monkeypatch.setattr(many, "FORKED", False)
    product = load_product(made.product)
    job = UpdateJob(made.product, made.devices, str(made.ledger))
    device = load_devices(made.devices)[0]
    tasks: dict[str, many.Task] = {
        "rfc2217://127.0.0.1:9": update_many.Ask(),
        "rfc2217://127.0.0.2:9": UpdateTask(job, device, "24:0a:c4:00:00:01", None),
    }
    rows = many.run(tasks, 0, lambda _port, _event: None)
    assert [row.report["code"] for row in rows] == ["port-not-found", "port-not-found"], [row.report["message"] for row in rows]
    assert rows[1].report["product"] == product.name
