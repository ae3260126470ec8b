"""Running again is always safe, with the product as it is shipped: the key leaves the host once its board has passed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.config.device import load_devices, single_device
from provisioning.config.load import load_product
from provisioning.errors import InputError
from provisioning.identity import factory
from provisioning.job.flash import flash
from provisioning.job.plan import FlashOptions, FlashPlan
from provisioning.job.report import Report
from provisioning.ledger import anchor, claims
from provisioning.ledger.chain_check import verify
from provisioning.ledger.store import Ledger
from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from provisioning.virtual import VirtualBoard
from tests.flash import images, products

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> products.Made:
    return products.at_home(products.make(tmp_path / "product", keep_key=False), monkeypatch)


@pytest.fixture
def boards() -> Iterator[list[VirtualBoard]]:
    running = [VirtualBoard(paced=False, blank=True).start() for _ in range(2)]
    yield running
    for one in running:
        one.close()


def run(made: products.Made, port: str, *names: str, options: FlashOptions | None = None) -> Report:
    devices = [one for one in load_devices(made.devices) if not names or one.id in names]
    with Ledger.open(made.ledger) as ledger:
        return flash(FlashPlan.of(load_product(made.product)), devices, port, ledger, options)


def station(made: products.Made, boards: list[VirtualBoard]) -> list[str]:
    ports = [f"--port={board.port}" for board in boards]
    return [sys.executable, "-m", "provisioning", "station", str(made.product), "--devices", str(made.devices), *ports]


def result_of(command: list[str], made: products.Made) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, env=made.environment(), timeout=110, check=False)
    return done.returncode, json.loads(done.stdout), done.stderr


def writes(board: VirtualBoard) -> int:
    counters = board.counters()
    return int(counters["flash_programs"] + counters["flash_erases"])


def key_on(board: VirtualBoard) -> str:
    with open_port(board.port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        text = repl.run("n=open('/trust/active').read()\nprint(open('/trust/%s/device.key.pem'%n).read())").decode()
        repl.leave()
    return text


def keys(made: products.Made) -> list[Path]:
    return sorted((made.folder / "devices").glob("*.key.pem"))


def test_a_row_twice(made: products.Made, boards: list[VirtualBoard]) -> None:
    command = station(made, boards)
    code, first, said = result_of(command, made)
    assert code == 0, said
    assert keys(made) == []
    before = [writes(board) for board in boards]
    code, again, said = result_of(command, made)
    assert (code, [row["code"] for row in again["rows"]]) == (0, ["unchanged", "unchanged"]), said
    assert [row["device"] for row in again["rows"]] == [row["device"] for row in first["rows"]]
    assert [writes(board) for board in boards] == before, "nothing is written"
    # A ledger that is lost does not make the boards others, nor their numbers free.
    made.forget()
    code, third, said = result_of(station(made, boards[:1]), made)
    assert (code, third["rows"][0]["code"], third["rows"][0]["device"]) == (0, "unchanged", first["rows"][0]["device"]), said
    with VirtualBoard(paced=False, blank=True) as blank:
        made.forget()
        assert run(made, blank.port).device == "ws-0003"


@pytest.mark.parametrize("step", ["image", "write", "selftest", "PASS"])
def test_a_command_that_is_killed_without_its_workers(made: products.Made, boards: list[VirtualBoard], step: str) -> None:
    """SIGKILL for the command alone, and the next run at once."""
    command = station(made, boards)
    process = subprocess.Popen(
        [*command, "--json"],  # results as they come are on standard error then
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=made.environment(),
    )
    assert process.stderr is not None
    for line in process.stderr:
        if f": {step}" in line:
            break
    else:
        raise AssertionError(f"the step {step} did not come")
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    code, result, said = result_of(command, made)
    assert code == 0, said
    assert sorted(row["device"] for row in result["rows"]) == ["ws-0001", "ws-0002"]
    assert keys(made) == []
    with Ledger.open(made.ledger) as ledger:
        assert [attempt for board in boards for attempt in claims.open_attempts(ledger, board.mac)] == []
        assert verify(ledger.rows(), anchor.read(made.ledger.with_name("ledger.sqlite.anchor"))).ok
    code, result, said = result_of(command, made)
    assert (code, [row["code"] for row in result["rows"]]) == (0, ["unchanged", "unchanged"]), said


def test_other_firmware_and_another_set_leave_the_key_where_it_is(made: products.Made, boards: list[VirtualBoard]) -> None:
    board = boards[0]
    assert run(made, board.port).outcome == "pass"
    key = key_on(board)
    images.board_file(made.folder, images.firmware(size=60_000, seed=2), extends="virtual-esp32")
    assert (made.folder / "firmware.bin").read_bytes() != board.read_flash(0x1000, (made.folder / "firmware.bin").stat().st_size)
    report = run(made, board.port)
    assert (report.outcome, report.code, report.device) == ("pass", "pass", "ws-0001"), report.message
    assert board.read_flash(0x1000, (made.folder / "firmware.bin").stat().st_size) == (made.folder / "firmware.bin").read_bytes()
    changed = made.changed()
    report = run(changed, board.port)
    assert (report.outcome, report.code, report.generation) == ("pass", "pass", 2), report.message
    assert key_on(board) == key
    # Firmware that does not start: whose file system it is, only the board can say, once it runs.
    board.power_off()
    board.load_flash(0x10000, bytes(4096))
    board.power_on()
    made.forget()
    report = run(changed, board.port)
    assert (report.outcome, report.device) == ("pass", "ws-0001"), report.message
    assert key_on(board) == key


def test_a_repair_bench_has_the_product_file_and_nothing_else(made: products.Made, boards: list[VirtualBoard], tmp_path: Path) -> None:
    board = boards[0]
    assert run(made, board.port).outcome == "pass"
    bench = tmp_path / "bench"
    bench.mkdir()
    for name in ("product.yaml", "board.yaml", "firmware.bin"):
        (bench / name).write_bytes((made.folder / name).read_bytes())
    command = [sys.executable, "-m", "provisioning", "flash", str(bench / "product.yaml"), "--json", "--port"]
    here = {**made.environment(), "TWINROOT_LEDGER": str(bench / "ledger.sqlite")}
    done = subprocess.run([*command, board.port], capture_output=True, text=True, env=here, timeout=60, check=False)
    report = json.loads(done.stdout)
    assert (done.returncode, report["code"], report["device"]) == (0, "unchanged", "ws-0001"), done.stderr
    # A board without an identity is refused there: its device, and the CA, are the line's.
    done = subprocess.run([*command, boards[1].port], capture_output=True, text=True, env=here, timeout=60, check=False)
    assert (done.returncode, json.loads(done.stdout)["code"]) == (2, "no-device"), done.stderr
    done = subprocess.run(
        [*command, boards[1].port, "--device", "ws-0009"], capture_output=True, text=True, env=here, timeout=60, check=False
    )
    report = json.loads(done.stdout)
    assert (done.returncode, report["code"]) == (2, "file-missing"), done.stderr
    assert "identity ca" not in report["hint"] and writes(boards[1]) == 0


def test_a_board_whose_key_is_gone_everywhere_is_refused(made: products.Made, boards: list[VirtualBoard]) -> None:
    board = boards[0]
    assert run(made, board.port).outcome == "pass"
    board.power_off()
    for at in range(0x200000, 0x400000, 0x10000):
        board.load_flash(at, b"\xff" * 0x10000)
    board.power_on()
    with open_port(board.port) as wire:
        RawRepl(wire).enter()  # MicroPython has made itself a new file system by then
    before = writes(board)
    report = run(made, board.port)
    assert (report.code, report.exit_code) == ("key-gone", 2), report.message
    assert board.mac in report.message and "new identity" not in report.hint and "Remove" not in report.hint
    assert writes(board) == before
    report = run(made, board.port, "ws-0001", options=FlashOptions(new_identity=True))
    assert (report.outcome, report.device) == ("pass", "ws-0001"), report.message
    with Ledger.open(made.ledger) as ledger:
        noted = [entry for entry in ledger.entries(device="ws-0001") if entry.fields.get("replaces")]
    assert noted and noted[-1].fields["replaces"] != noted[-1].fields["certificate_sha256"]


def test_a_number_that_is_released_gets_a_new_certificate(made: products.Made, boards: list[VirtualBoard]) -> None:
    assert run(made, boards[0].port, "ws-0001").outcome == "pass"
    product = load_product(made.product)
    device = single_device("ws-0001")
    old = factory.fingerprint_here(product, device)
    with Ledger.open(made.ledger) as ledger:
        claims.release(ledger, "r" * 32, mac=None, device="ws-0001", fields={"reason": "scrapped"})
        assert claims.retired(ledger, "ws-0001") == {old}
    report = run(made, boards[1].port)
    assert (report.outcome, report.device) == ("pass", "ws-0001"), report.message
    assert any(str(old)[:16] in note for note in report.notes)
    assert factory.fingerprint_here(product, device) not in (None, old)
    assert len(list((made.folder / "devices").glob(f"ws-0001.crt.retired-{str(old)[:16]}.pem"))) == 1
    # The board that was released has no identity: what it holds does not make it ws-0001 again.
    report = run(made, boards[0].port)
    assert (report.outcome, report.device) == ("pass", "ws-0002"), report.message
    with Ledger.open(made.ledger) as ledger:
        assert verify(ledger.rows(), anchor.read(made.ledger.with_name("ledger.sqlite.anchor"))).ok


def test_a_board_of_another_product_is_not_written(made: products.Made, boards: list[VirtualBoard]) -> None:
    board = boards[0]
    assert run(made, board.port).outcome == "pass"
    made.product.write_text(made.product.read_text().replace("product: weather-station", "product: pump"))
    before = writes(board)
    report = run(made, board.port)
    assert (report.code, report.exit_code) == ("other-product", 1), report.message
    assert "weather-station" in report.message and writes(board) == before


def test_a_retired_certificate_that_was_not_made_here_is_refused(made: products.Made, tmp_path: Path) -> None:
    product = load_product(made.product)
    device = single_device("ws-0001")
    factory.ensure_identity(product, device)
    gone = factory.fingerprint_here(product, device)
    text = made.product.read_text()
    made.product.write_text("\n".join(line for line in text.splitlines() if "issue:" not in line) + "\n")
    with pytest.raises(InputError) as caught:
        factory.retire(load_product(made.product), device, {str(gone)})
    assert caught.value.code == "certificate-retired"
    assert factory.retire(load_product(made.product), device, {"0" * 64}) == []
