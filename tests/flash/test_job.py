"""Blank board to PASS through the ROM loader, refusals before the first write, and the right word for everything that goes wrong."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provisioning.bundle.bundle import build
from provisioning.config.device import load_devices, single_device
from provisioning.config.load import load_product
from provisioning.flash import loader_access as line_module
from provisioning.flash import partition
from provisioning.flash.rom import RomLoader
from provisioning.job import flash as flash_module
from provisioning.job.flash import flash
from provisioning.job.plan import FlashOptions, FlashPlan
from provisioning.job.report import Report
from provisioning.ledger import anchor
from provisioning.ledger.chain_check import verify
from provisioning.ledger.store import Ledger
from provisioning.link.events import Event, silent
from provisioning.sbom import document
from provisioning.sbom.parts import inventory
from provisioning.virtual import VirtualBoard
from tests.flash import images, products
from tests.support.littlefs_files import read_back
from tests.support.old_littlefs import worn_partition

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")

MakeBoard = Callable[..., VirtualBoard]


@pytest.fixture
def board(make_board: MakeBoard) -> VirtualBoard:
    return make_board()


@pytest.fixture
def make_board() -> Iterator[MakeBoard]:
    boards: list[VirtualBoard] = []

    def make(**options: Any) -> VirtualBoard:
        boards.append(VirtualBoard(**{"paced": False, "blank": True, **options}).start())
        return boards[-1]

    yield make
    for one in boards:
        one.close()


def run(
    made: products.Made, port: str, device: str | None = None, options: FlashOptions | None = None, events: Callable[[Event], None] = silent
) -> Report:
    devices = [one for one in load_devices(made.devices) if device in (None, one.id)]
    with Ledger.open(made.ledger) as ledger:
        return flash(FlashPlan.of(load_product(made.product)), devices, port, ledger, options, events)


def rows(made: products.Made) -> list[dict[str, Any]]:
    with Ledger.open(made.ledger) as ledger:
        assert verify(ledger.rows(), anchor.read(made.ledger.with_name("ledger.sqlite.anchor"))).ok
        return [entry.as_dict() for entry in ledger.entries()]


def test_blank_to_pass(made: products.Made, board: VirtualBoard) -> None:
    events: list[Event] = []
    report = run(made, board.port, "ws-0001", events=events.append)
    assert (report.outcome, report.code, report.exit_code) == ("pass", "pass", 0), report.message
    assert (report.mac, report.chip, report.device, report.generation) == (board.mac, "esp32", "ws-0001", 1)
    assert report.selftest["ok"] and report.selftest["bad"] == [] and report.selftest["uid"] == board.mac.replace(":", "")
    assert report.files["/trust/1/device.crt.pem"]
    assert [event.data["name"] for event in events if event.kind == "step"] == ["identify", "bundle", "image", "write", "boot", "selftest"]
    assert board.read_flash(0x1000, made.firmware.stat().st_size) == made.firmware.read_bytes()
    claim, intent, outcome = rows(made)
    assert [row["kind"] for row in (claim, intent, outcome)] == ["claim", "intent", "outcome"]
    assert intent["firmware_sha256"] == hashlib.sha256(made.firmware.read_bytes()).hexdigest()
    assert outcome["outcome"] == "pass" and outcome["mac"] == board.mac and outcome["wrote"] is True
    # What `twinroot sbom --device` prints, from the files of this host.
    bill = document.text(inventory(load_product(made.product), single_device("ws-0001")), document.DEFAULT)
    assert intent["sbom_sha256"] == outcome["sbom_sha256"] == hashlib.sha256(bill).hexdigest()
    assert set(intent["roots"]) == {"AmazonRootCA1", "AmazonRootCA3", "VeriSign-Class3-Public-Primary-G5"}
    # A second run asks the board, and writes nothing.
    board.clear_counters()
    again = run(made, board.port, "ws-0001")
    assert (again.outcome, again.code, again.written) == ("pass", "unchanged", []), again.message
    assert board.counters()["flash_programs"] == board.counters()["flash_erases"] == 0
    assert [row["kind"] for row in rows(made)[3:]] == ["claim", "outcome"] and rows(made)[-1]["wrote"] is False


def test_an_older_fuller_file_system_leaves_no_trace(made: products.Made, board: VirtualBoard) -> None:
    """The whole partition is full of valid old metadata of high revisions; after the run the board's file system is the bundle, exactly."""
    board.power_off()
    old = worn_partition(load_product(made.product).board)
    for at in range(0, len(old), 0x8000):
        board.load_flash(0x200000 + at, old[at : at + 0x8000])
    board.power_on()
    report = run(made, board.port, "ws-0001")
    assert report.outcome == "pass", report.message
    product = FlashPlan.of(load_product(made.product)).product
    [device] = [one for one in load_devices(made.devices) if one.id == "ws-0001"]
    found = read_back(board.read_flash(product.board.partition.offset, product.board.partition.size), product.board)
    assert found == build(product, device).tree(1)


def test_the_key_leaves_this_host_after_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: VirtualBoard) -> None:
    made = products.make(tmp_path / "p", keep_key=False)
    monkeypatch.setenv("TWINROOT_CACHE", str(tmp_path / "cache"))
    report = run(made, board.port, "ws-0001")
    assert report.outcome == "pass"
    assert (made.folder / "devices" / "ws-0001.crt.pem").exists()
    assert not (made.folder / "devices" / "ws-0001.key.pem").exists()
    assert list((tmp_path / "cache" / "work").iterdir()) == [], "no image with a key is left behind"


def test_no_secret_is_left_anywhere(made: products.Made, board: VirtualBoard) -> None:
    """The private key itself is the canary: its text and its number must be in no output, log, ledger or report."""
    command = [sys.executable, "-m", "provisioning", "flash", str(made.product), "--port", board.port, "--device", "ws-0001"]
    done = subprocess.run([*command, "--json", "--debug"], capture_output=True, text=True, env=made.environment(), timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    key = (made.folder / "devices" / "ws-0001.key.pem").read_text()
    secret = "".join(line for line in key.splitlines() if "-----" not in line)
    written = [path for path in made.folder.rglob("*") if path.is_file() and path.suffix != ".pem"]
    assert any(path.suffix == ".log" for path in written) and any("ledger" in path.name for path in written)
    texts = [done.stdout, done.stderr, *(path.read_bytes().decode("latin-1") for path in written)]
    for piece in (secret[:40], secret[-40:], key.splitlines()[1]):
        assert not any(piece in text for text in texts)


# What differs from a good run -> the code of the refusal. Nothing may be written in any of them.
BOARD_FILES = {
    "wrong-revision": "min_revision: v9.0\n",
    "flash-too-small": "flash_size: 16MB\n",
}


@pytest.mark.parametrize("code", BOARD_FILES)
def test_a_board_that_does_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: VirtualBoard, code: str) -> None:
    monkeypatch.setenv("TWINROOT_CACHE", str(tmp_path / "cache"))
    made = products.make(tmp_path / "p", more=BOARD_FILES[code])
    refused(made, board, code, 1)


def refused(
    made: products.Made, board: VirtualBoard, code: str, exit_code: int, device: str = "ws-0001", options: FlashOptions | None = None
) -> Report:
    board.clear_counters()
    report = run(made, board.port, device, options)
    assert (report.code, report.exit_code) == (code, exit_code), report.message
    assert report.hint and report.message.endswith(".")
    assert board.counters()["flash_programs"] == board.counters()["flash_erases"] == 0
    return report


@pytest.mark.parametrize(
    ("code", "fuse"), [("secure-boot", "secure_boot"), ("flash-encryption", "flash_encryption"), ("secure-download", "secure_download")]
)
def test_a_locked_chip_is_refused_with_what_to_do(
    made: products.Made, board: VirtualBoard, monkeypatch: pytest.MonkeyPatch, code: str, fuse: str
) -> None:
    """The virtual chip has no such fuses, so what its loader says of itself is changed on the way."""
    identify = RomLoader.identify
    monkeypatch.setattr(RomLoader, "identify", lambda *asked: replace(identify(*asked), **{fuse: True}))
    assert "fresh one" in refused(made, board, code, 1).hint


def test_another_chip_is_refused(made: products.Made, make_board: MakeBoard) -> None:
    report = refused(made, make_board(chip="esp32c3"), "wrong-chip", 1)
    assert "esp32c3" in report.message


def test_a_board_that_is_not_on_the_list_is_refused(made: products.Made, board: VirtualBoard) -> None:
    refused(made, board, "not-allowed", 2, options=FlashOptions(allowed=frozenset({"24:0a:c4:00:00:01"})))
    assert run(made, board.port, "ws-0001", FlashOptions(allowed=frozenset({board.mac}))).outcome == "pass"


def test_a_used_serial_number_a_used_board_and_a_used_certificate_are_refused(made: products.Made, make_board: MakeBoard) -> None:
    first, second = make_board(), make_board()
    assert run(made, first.port, "ws-0001").outcome == "pass"
    assert first.mac in refused(made, second, "serial-used", 2, "ws-0001").message
    assert "ws-0001" in refused(made, first, "mac-used", 2, "ws-0002").message
    devices = made.folder / "devices"
    for suffix in ("crt.pem", "key.pem"):
        (devices / f"ws-0003.{suffix}").write_bytes((devices / f"ws-0001.{suffix}").read_bytes())
    assert "ws-0001" in refused(made, second, "certificate-of-another", 2, "ws-0003").message
    for suffix in ("crt.pem", "key.pem"):
        (devices / f"ws-0003.{suffix}").unlink()
    # A refusal binds nothing: the second board may be any other device.
    assert run(made, second.port).device == "ws-0002"


def test_a_refused_board_runs_its_program_again(made: products.Made, board: VirtualBoard) -> None:
    assert run(made, board.port, "ws-0001").outcome == "pass"
    board.clear_counters()
    refused(made, board, "mac-used", 2, "ws-0002")
    assert board.happens("boot", 5) or board.counters()["boots"] > 0


def test_a_port_that_is_not_there(made: products.Made) -> None:
    report = run(made, "rfc2217://127.0.0.1:9", "ws-0001")
    assert (report.outcome, report.code, report.exit_code) == ("error", "port-not-found", 3)


def test_no_board_at_the_port(made: products.Made, board: VirtualBoard) -> None:
    board.power_off()
    report = run(made, board.port, "ws-0001")
    assert (report.outcome, report.code, report.exit_code) == ("error", "no-answer", 3)


def test_a_port_that_goes_away_in_the_middle(made: products.Made, board: VirtualBoard) -> None:
    def unplug(event: Event) -> None:
        if event.kind == "bytes":
            board.kill()

    report = run(made, board.port, "ws-0001", events=unplug)
    assert report.outcome == "error" and report.exit_code == 3, report.message
    assert report.code in ("port-lost", "port-gone")
    assert rows(made)[-1]["wrote"] is True
    board.restart()
    assert run(made, board.port, "ws-0001").outcome == "pass"


def test_never_pass_for_a_board_that_does_not_boot(made: products.Made, board: VirtualBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    start = line_module.LoaderAccess.start

    def spoiled(self: line_module.LoaderAccess) -> None:
        board.load_flash(0x10000, bytes(4096))
        start(self)

    monkeypatch.setattr(line_module.LoaderAccess, "start", spoiled)
    monkeypatch.setattr(flash_module, "BOOT_SECONDS", 3.0)
    report = run(made, board.port, "ws-0001")
    assert (report.outcome, report.exit_code) == ("fail", 1), report.message
    monkeypatch.undo()
    assert run(made, board.port, "ws-0001").outcome == "pass"


def test_never_pass_for_a_board_that_reports_another_device(
    made: products.Made, make_board: MakeBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, board = make_board(), make_board()
    assert run(made, other.port, "ws-0002").outcome == "pass"
    foreign = other.read_flash(0x200000, 0x200000)
    start = line_module.LoaderAccess.start

    def changed(self: line_module.LoaderAccess) -> None:
        for at in range(0, len(foreign), 0x8000):
            board.load_flash(0x200000 + at, foreign[at : at + 0x8000])
        start(self)

    monkeypatch.setattr(line_module.LoaderAccess, "start", changed)
    report = run(made, board.port, "ws-0001")
    assert (report.outcome, report.code, report.exit_code) == ("fail", "other-set", 1), report.message
    assert rows(made)[-1]["outcome"] == "fail"


def test_the_rate_falls_by_itself_on_a_line_that_damages_bytes(made: products.Made, make_board: MakeBoard) -> None:
    """The loader answers garbage above a rate that the adapter does not really take."""
    board = make_board()
    report = run(made, board.port, "ws-0001", FlashOptions(baud=115_200))
    assert report.outcome == "pass" and report.wire["baud"] == 115_200


def test_firmware_without_a_table_boots_with_the_one_that_is_made(made: products.Made, board: VirtualBoard) -> None:
    images.board_file(made.folder, images.firmware(size=60_000, table=False), extends="virtual-esp32")
    report = run(made, board.port, "ws-0001")
    assert report.outcome == "pass", report.message
    assert partition.parse(board.read_flash(0x8000, 0xC00))[-1].label == "vfs"


@pytest.mark.parametrize("flash_size", ["4MB", "8MB"])
def test_firmware_that_makes_its_own_file_system(made: products.Made, make_board: MakeBoard, flash_size: str) -> None:
    """Stock images from 1.26 on: the partition reaches to the end of the flash that is really there, and littlefs mounts no other size.
    The board file says 4 MB; a board may have more."""
    images.board_file(made.folder, images.firmware(size=60_000, label=""), extends="virtual-esp32")
    board = make_board(flash_size=flash_size)
    report = run(made, board.port, "ws-0001")
    assert report.outcome == "pass", f"{report.code}: {report.message}"
    size = {"4MB": 4, "8MB": 8}[flash_size] << 20
    plan = FlashPlan.of(load_product(made.product)).on(size)
    assert plan.partition.offset + plan.partition.size == size
    [device] = [one for one in load_devices(made.devices) if one.id == "ws-0001"]
    data = b"".join(board.read_flash(at, 0x100000) for at in range(0x200000, size, 0x100000))
    assert read_back(data, plan.product.board) == build(plan.product, device).tree(1)
