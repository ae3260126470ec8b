"""Chips that are their own USB device: the port goes away with each reset and comes back under another name, perhaps as another device."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from serial.tools.list_ports_common import ListPortInfo

from provisioning.config.device import load_devices, single_device
from provisioning.config.load import load_board, load_product
from provisioning.errors import StationError
from provisioning.flash import process
from provisioning.flash.loader_access import open_line
from provisioning.flash.rom import RomLoader
from provisioning.job.flash import flash
from provisioning.job.plan import FlashOptions, FlashPlan
from provisioning.job.rescue import rescue
from provisioning.job.station import FlashJob, station
from provisioning.job.update import update
from provisioning.job.verify import verify
from provisioning.ledger.store import Ledger
from provisioning.link import adapters, native_usb
from provisioning.link import repl as repl_module
from provisioning.link.events import Event
from provisioning.link.port import open_port
from provisioning.link.port_names import resolve
from provisioning.link.repl import RawRepl
from provisioning.virtual import VirtualBoard
from tests.flash import products
from tests.rescue.states import DEAF
from tests.support.product_files import PRODUCT, write_identity, write_product
from tests.support.usb_ports import listed, plug_in

SOCKET = "usbpath:1-2.3"
KINDS = {  # name -> chip, kind of port, board file
    "jtag": ("esp32c3", "jtag", "esp32-c3"),  # USB-Serial-JTAG, 303a:1001 always
    "s3": ("esp32s3", "otg", "esp32-s3"),  # 303a:4001 from the end of boot.py on, 303a:1001 in the loader
    "s2": ("esp32s2", "otg", "esp32-s2"),  # 303a:4001, and 303a:0002 without a serial number in the loader
}
ALL = [pytest.param(kind, marks=() if kind == "s2" else pytest.mark.long) for kind in KINDS]  # the S2 changes most
Make = Callable[..., VirtualBoard]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    boards: list[VirtualBoard] = []

    def made(kind: str, way: str, **options: Any) -> VirtualBoard:
        chip, usb, _ = KINDS[kind]
        boards.append(VirtualBoard(paced=False, clock="host", chip=chip, usb=usb, **options).start())
        plug_in(monkeypatch, boards[-1], way)
        return boards[-1]

    yield made
    for board in boards:
        board.close()


def product(folder: Path, kind: str, more: str = "") -> Any:
    write_identity(folder, "ws-0001")
    return load_product(write_product(folder, PRODUCT.replace("esp32-generic", KINDS[kind][2]), more))


def run(code: str) -> str:
    with open_port(SOCKET) as wire:
        repl = RawRepl(wire)
        repl.enter()
        said = repl.run(code).decode().strip()
        repl.leave()
    return said


def put(path: str, text: str) -> None:
    run(f"f=open({path!r},'w');f.write({text!r});f.close()")


def power_cycle(board: VirtualBoard, way: str) -> None:
    """Off and on; returns when the port is there again."""
    board.power_off()
    assert native_usb.wait(lambda: not listed(board, way) or None, 2.0)
    board.power_on()
    assert there(board, way)


def there(board: VirtualBoard, way: str = "pty") -> str:
    """The port's name, as soon as it is there."""
    return native_usb.wait(lambda: next((port.device for port in listed(board, way)), None), 5.0) or ""


def esptool_has_the_terminal(monkeypatch: pytest.MonkeyPatch, board: VirtualBoard) -> None:
    """It is told to leave the lines alone, so it gets the port without them: over RFC 2217 each of its commands takes 150 ms more."""
    command = process.command

    def to_terminal(arguments: Sequence[str] = ()) -> list[str]:
        if "--port" not in arguments:
            return command(arguments)
        at = list(arguments).index("--port") + 1
        assert arguments[at] == there(board, "rfc2217") and "no-reset" in arguments
        return command([*arguments[:at], there(board), *arguments[at + 1 :]])

    monkeypatch.setattr(process, "command", to_terminal)


@pytest.mark.parametrize("kind", ["jtag", "s3"])
def test_a_reset_in_the_middle_of_an_update(make: Make, tmp_path: Path, kind: str) -> None:
    """The chip restarts while it is written to: its port is waited for under its new name, and the update goes on."""
    board = make(kind, "pty")
    before = there(board)
    wanted = product(tmp_path, kind)
    board.inject("reset@6000")
    told: list[Event] = []
    report = update(wanted, single_device("ws-0001"), SOCKET, events=told.append)
    assert report.outcome == "pass", report.message
    assert there(board) != before and any(there(board) in str(event.data.get("text")) for event in told)
    assert verify(SOCKET, wanted, single_device("ws-0001")).outcome == "pass"


def test_a_port_that_boot_py_keeps_away(make: Make, tmp_path: Path) -> None:
    """MicroPython's own port comes after boot.py: the command began before that, and waits."""
    board = make("s3", "pty")
    put("/boot.py", "import time\ntime.sleep(1.5)\n")
    board.power_off()
    assert native_usb.wait(lambda: not listed(board, "pty") or None, 2.0)
    board.power_on()
    report = update(product(tmp_path, "s3"), single_device("ws-0001"), SOCKET)
    assert report.outcome == "pass", report.message


def test_a_name_that_is_not_there_yet(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/ttyACM0 is waited for while its chip starts; a bridge's name is not."""
    board = make("jtag", "pty")
    name = there(board)
    monkeypatch.setattr(native_usb, "may_appear", lambda spec: spec == name)
    shown = [False]
    monkeypatch.setattr(adapters, "plugged", lambda: listed(board, "pty") if shown[0] else [])
    real = Path(name).rename(name + "-later")
    timer = threading.Timer(0.4, lambda: (real.rename(name), shown.__setitem__(0, True)))
    timer.start()
    try:
        with open_port(name) as wire:
            RawRepl(wire).enter()
    finally:
        timer.join()
    assert not native_usb.may_appear("/dev/ttyUSB0")


@pytest.mark.parametrize("transport", ["stream", "paste"])
def test_full_packets_that_are_held_back(make: Make, tmp_path: Path, transport: str) -> None:
    """Answers of 64 bytes, or a multiple, that come only with what the board says next."""
    board = make("jtag", "pty")
    board.inject("held")
    with open_port(SOCKET) as wire:
        repl = RawRepl(wire)
        repl.enter()
        for length in range(56, 66):
            assert repl.run(f"print('x'*{length},end='')") == b"x" * length
    report = update(product(tmp_path, "jtag"), single_device("ws-0001"), SOCKET, transport=transport)
    assert report.outcome == "pass", report.message


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_boot_as_slow_as_a_chips(make: Make, tmp_path: Path, kind: str) -> None:
    """A second and a half from the boot loader to MicroPython, in which nothing is heard."""
    board = make(kind, "pty")
    board.inject("boot=1500")
    board.reset("software")
    report = update(product(tmp_path, kind), single_device("ws-0001"), SOCKET)
    assert report.outcome == "pass", report.message


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ALL)
def test_blank_to_pass(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Through the loader, esptool and back into the program: three ports, one board. And once more over the board that passed."""
    chip, _, extends = KINDS[kind]
    made = products.at_home(products.make(tmp_path / "product", chip=chip, extends=extends), monkeypatch)
    board = make(kind, "rfc2217", blank=True)
    if kind == "s2":
        assert not listed(board, "rfc2217"), "a blank S2 is no USB device until BOOT was held"
        board.reset(boot=True)
    there(board, "rfc2217")
    esptool_has_the_terminal(monkeypatch, board)
    for code in ("pass", "unchanged"):
        with Ledger.open(made.ledger) as ledger:
            report = flash(FlashPlan.of(load_product(made.product)), load_devices(made.devices), SOCKET, ledger, FlashOptions())
        assert (report.outcome, report.code, report.mac) == ("pass", code, board.mac), report.message
    assert verify(SOCKET).outcome == "pass"


@pytest.mark.timeout(120)
def test_at_a_station(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = products.at_home(products.make(tmp_path / "product", chip="esp32c3", extends="esp32-c3"), monkeypatch)
    board = make("jtag", "rfc2217", blank=True)
    esptool_has_the_terminal(monkeypatch, board)
    job = FlashJob(made.product, made.devices, str(made.ledger), FlashOptions())
    plan = FlashPlan.of(load_product(made.product))
    [row] = station(job, plan, load_devices(made.devices), [there(board, "rfc2217")], 0, lambda _port, _event: None)
    assert row.passed and row.report["mac"] == board.mac, row.report["message"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ALL)
def test_rescue(make: Make, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(repl_module, "_SILENT_BOOT", 1.5)  # nothing but the wait is shorter
    board = make(kind, "rfc2217")
    put("/main.py", DEAF)
    power_cycle(board, "rfc2217")
    report = rescue(SOCKET)
    assert (report.outcome, report.written, report.mac) == ("pass", ["/main.py.rescued"], board.mac), report.message
    assert "main.py.rescued" in run("import os\nprint(os.listdir())")


def test_a_watchdog_that_bites_in_the_loader(make: Make, tmp_path: Path) -> None:
    """Behind USB-Serial-JTAG the super watchdog outlives the reset into the loader: it is told to feed itself at once."""
    board = make("jtag", "rfc2217")
    with open_line(load_board("esp32-c3"), there(board, "rfc2217"), tmp_path / "log") as line:
        line.examine(None)
        board.clear_counters()
        assert not board.happens("boot", 1.2), "longer than it waits, by the clock that it waits by"
        with line.wire() as wire:
            loader = RomLoader(wire)
            loader.connect("no-reset")
            assert loader.identify("esp32c3").mac == board.mac


@pytest.mark.parametrize("boot", [False, True], ids=["program", "loader"])
def test_one_that_bites_before(make: Make, tmp_path: Path, boot: bool) -> None:
    """A computer that is busy asks late: the port goes away between two questions. The chip runs its program then, or is in its loader
    still; its facts are had all the same, and nothing is said against the line."""
    board = make("jtag", "rfc2217")
    with open_line(load_board("esp32-c3"), there(board, "rfc2217"), tmp_path / "log") as line, line.wire() as wire:
        loader = line.enter(wire)
        board.reset("rtc-watchdog", boot=boot)
        assert native_usb.wait(lambda: not listed(board, "rfc2217") or None, 2.0)
        facts = loader.identify("esp32c3")
        assert facts.mac == board.mac and not loader.noisy
        board.clear_counters()
        assert not board.happens("boot", 1.2), "it feeds itself now"


def test_one_that_stays_away(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    board = make("jtag", "pty")
    monkeypatch.setattr(native_usb, "COMES_BACK", 0.5)
    with open_port(SOCKET) as wire:
        RawRepl(wire).enter()
        board.power_off()
        with pytest.raises(StationError) as caught:
            while True:
                wire.read(0.1)
    assert caught.value.code == "port-lost" and "did not come back" in caught.value.message


def port(device: str, pid: int, serial: str, location: str = "1-2.3:1.0", vid: int = 0x303A) -> ListPortInfo:
    found = ListPortInfo(device)
    found.vid, found.pid, found.serial_number, found.location, found.description = vid, pid, serial, location, "USB"
    return found


# What is in the list afterwards -> whether it is the board that was 303a:1001 with 58:CF:79:00:00:01 in socket 1-2.3.
AGAIN = {
    "the same": (port("/dev/ttyACM1", 0x1001, "58:CF:79:00:00:01"), True),
    "MicroPython's": (port("/dev/ttyACM1", 0x4001, "58CF790000010000"), True),
    "in another socket": (port("/dev/ttyACM1", 0x1001, "58:CF:79:00:00:01", "1-4"), True),
    "without a number": (port("/dev/ttyACM1", 0x0002, "0"), True),
    "a maker's": (port("/dev/ttyACM1", 0x056B, "58CF790000010000", vid=0x2341), True),
    "another board": (port("/dev/ttyACM1", 0x1001, "58:CF:79:00:00:02"), False),
    "another socket": (port("/dev/ttyACM1", 0x0002, "0", "1-4"), False),
}


@pytest.mark.parametrize("case", AGAIN)
def test_which_port_is_the_same_board(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    now = [port("/dev/ttyACM0", 0x1001, "58:CF:79:00:00:01")]
    monkeypatch.setattr(adapters, "plugged", lambda: now)
    device = native_usb.device_at("/dev/ttyACM0")
    assert device is not None
    other, same = AGAIN[case]
    now[:] = [other]
    assert device.port() == ("/dev/ttyACM1" if same else None)


def test_named_by_either_form_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "plugged", lambda: [port("/dev/ttyACM0", 0x4001, "58CF790000010000")])
    for spec in ("usb:58:CF:79:00:00:01", "usb:58CF790000010000", "mac:58:cf:79:00:00:01", SOCKET, "auto"):
        assert resolve(spec) == "/dev/ttyACM0"
    began = time.monotonic()
    monkeypatch.setattr(native_usb, "APPEARS", 0.2)
    with pytest.raises(StationError) as caught:
        resolve("usbpath:1-9")
    assert caught.value.code == "no-board" and time.monotonic() - began >= 0.2
