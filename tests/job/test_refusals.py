"""Boards that cannot be updated, or only with some care: refused before the first write, or brought round."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from provisioning.errors import BoardError
from provisioning.job.report import Report
from provisioning.job.rollback import rollback
from provisioning.job.selftest import check, check_file_system, chip_of
from provisioning.job.update import update
from provisioning.link.transport.base import Hello
from provisioning.virtual import VirtualBoard
from tests.job.conftest import Bench, blank, put, started

STUBBORN = """import time
while True:
    try:
        time.sleep(10)
    except KeyboardInterrupt:
        print('not so fast')
"""
TALKING = """n = 0
while True:
    n += 1
    print('measurement', n, 'of many, many, many')
"""


def test_wrong_chip(bench: Bench) -> None:
    writes = bench.flash_writes()
    report = update(bench.product(**{"virtual-esp32": "esp32-s3"}), bench.device, bench.port)
    assert (report.outcome, report.code, report.exit_code) == ("fail", "wrong-chip", 1)
    assert "esp32s3" in report.message
    assert bench.flash_writes() == writes


def test_no_space(bench: Bench) -> None:
    """Found before the first write; the old set stays in use."""
    update(bench.product(), bench.device, bench.port)
    bench.run(
        "import os\nfs=os.statvfs('/')\nf=open('/fill','wb')\nfor i in range((fs[3]-7)*8): f.write(bytes(512))\nf.close()\n"
        "print(os.statvfs('/')[3])"
    )
    writes = bench.flash_writes()
    report = update(bench.product(a1b2c3d4e5f6g7="z9y8x7w6v5u4t3"), bench.device, bench.port)
    assert (report.outcome, report.code, report.exit_code) == ("fail", "flash-full", 1), report.message
    assert bench.flash_writes() == writes
    assert bench.run("print(open('/trust/active').read())") == "1"


def test_a_program_that_prints_without_end(bench: Bench) -> None:
    put(bench, "/main.py", TALKING)
    bench.board.power_off()
    bench.board.power_on()
    time.sleep(0.3)
    report = update(bench.product(), bench.device, bench.port)
    assert report.outcome == "pass", report.message


def test_a_program_that_catches_control_c(bench: Bench) -> None:
    """A burst of interrupts may hit its handler as well, which is luck; when it does not, the board is refused and nothing written."""
    put(bench, "/main.py", STUBBORN)
    bench.board.power_off()
    bench.board.power_on()
    time.sleep(0.5)
    writes = bench.flash_writes()
    started_at = time.monotonic()
    report = update(bench.product(), bench.device, bench.port)
    assert time.monotonic() - started_at < 30
    if report.outcome == "fail":
        assert report.code in ("repl-unreachable", "other-firmware") and report.hint
        assert bench.flash_writes() == writes


def test_a_program_that_switches_control_c_off(bench: Bench) -> None:
    """Without reset lines nothing gets through to it: refused, nothing written."""
    put(
        bench,
        "/main.py",
        "import micropython\nmicropython.kbd_intr(-1)\n" + TALKING.replace("print", "__import__('time').sleep(0.2)\n    print"),
    )
    bench.board.power_off()
    bench.board.power_on()
    time.sleep(0.5)
    writes = bench.flash_writes()
    report = update(bench.product(), bench.device, bench.port)
    assert report.outcome == "fail" and report.exit_code == 1
    assert report.code in ("repl-unreachable", "other-firmware"), report.message
    assert bench.flash_writes() == writes


@pytest.fixture
def over_network(tmp_path: Path) -> Iterator[tuple[VirtualBoard, Bench]]:
    """A board behind RFC 2217, which has reset lines."""
    board = started(paced=False, latency_ms=0, link="rfc2217")
    blank(board)
    yield board, Bench(board, tmp_path)
    board.close()


def test_rate_is_raised_proved_and_put_back(over_network: tuple[VirtualBoard, Bench]) -> None:
    board, bench = over_network
    seen: list[int] = []
    report = update(
        bench.product(), bench.device, board.port, events=lambda event: seen.append(event.data["baud"]) if event.kind == "baud" else None
    )
    assert report.outcome == "pass", report.message
    assert seen == [2000000]
    assert bench.run("print(6*7)") == "42"  # at 115200


@pytest.mark.parametrize(
    ("machine", "chip"),
    [
        ("Generic ESP32 module with ESP32", "esp32"),
        ("Generic ESP32S3 module with ESP32S3", "esp32s3"),
        ("Generic ESP32 module with SPIRAM with ESP32", "esp32"),
        ("LOLIN_C3_MINI with ESP32-C3FH4", "esp32c3"),
        ("ESP32-C6 with ESP32C6", "esp32c6"),
        ("Raspberry Pi Pico W with RP2040", None),
    ],
)
def test_chip_from_what_micropython_says(machine: str, chip: str | None) -> None:
    assert chip_of(machine) == chip


class _Product:
    class board:
        chip = "esp32"


def hello(**changed: object) -> Hello:
    fields = {"mp": (1, 26, 0), "mpy": 6, "machine": "Generic ESP32 module with ESP32", "platform": "esp32", "uid": "240ac4000001"}
    fields |= {"fs": "[(<VfsLfs2>, '/')]", "block": 4096, "free": 400, "ours": False}
    return Hello(**{**fields, **changed})  # type: ignore[arg-type]


def test_too_old() -> None:
    with pytest.raises(BoardError) as caught:
        check(hello(mp=(1, 19, 1)), _Product, "/dev/ttyUSB0", Report())
    assert caught.value.code == "micropython-too-old"
    assert "twinroot flash" in caught.value.hint


def test_version_of_the_firmware_as_the_board_says_it() -> None:
    answer = [6, "Generic ESP32 module with ESP32", "esp32", "240ac4000001", "", 4096, 400, False]
    versions = [(1, 21, 0), (1, 27, 0, ""), (1, 28, 0, "preview"), (1, 28, 0, "of ours\n")]
    assert [Hello.of([version, *answer]).version for version in versions] == ["1.21.0", "1.27.0", "1.28.0-preview", "1.28.0-of-ours-"]
    assert Hello.of([[1, 28, 0, "preview"], *answer]).mp == (1, 28, 0)
    for damaged in ([(1, 27, 0, 4), *answer], [(1, 27, 0, ""), *answer[1:]], [7, *answer]):
        with pytest.raises((TypeError, ValueError)):
            Hello.of(damaged)


def test_not_an_esp32_at_all() -> None:
    with pytest.raises(BoardError) as caught:
        check(hello(machine="Raspberry Pi Pico W with RP2040", platform="rp2"), _Product, "/dev/ttyUSB0", Report())
    assert caught.value.code == "wrong-chip"


def fat(bench: Bench) -> None:
    """The board with a FAT file system in the place of its littlefs."""
    bench.run("import vfs, flashbdev\nvfs.umount('/')\nvfs.VfsFat.mkfs(flashbdev.bdev)")
    bench.restart()
    assert "VfsFat" in bench.run("import vfs\nprint(vfs.mount())")


# Before MicroPython 1.25 vfs.mount() without arguments is an error, before 1.23 there is no module vfs.
AGES = {"now": "", "1.24": "import vfs\ndef mount(a,b): pass\nvfs.mount=mount\n", "1.22": "import sys\nsys.modules['vfs']=None\n"}


@pytest.mark.parametrize("transport", ["stream", "paste", "ampy"])
@pytest.mark.parametrize("age", AGES)
def test_fat_is_refused(bench: Bench, transport: str, age: str) -> None:
    fat(bench)
    put(bench, "/boot.py", AGES[age])
    writes = bench.flash_writes()
    report = update(bench.product(), bench.device, bench.port, transport=transport)
    assert (report.outcome, report.code, report.exit_code, report.written) == ("fail", "fat-file-system", 1, []), report.message
    assert report.mac == bench.board.mac
    assert rollback(bench.port, transport=transport).code == "fat-file-system"
    assert bench.flash_writes() == writes


@pytest.mark.parametrize("age", AGES)
def test_littlefs_of_every_age_is_taken(bench: Bench, age: str) -> None:
    put(bench, "/boot.py", AGES[age])
    report = update(bench.product(), bench.device, bench.port)
    assert (report.outcome, report.mac) == ("pass", bench.board.mac), report.message


class _Session:
    """What check_file_system asks of one."""

    def __init__(self, fs: str, head: bytes = b"") -> None:
        self._fs, self._head = fs, head

    def hello(self) -> Hello:
        return hello(fs=self._fs)

    def head(self) -> bytes:
        return self._head


@pytest.mark.parametrize(
    ("fs", "head", "taken"),
    [
        ("[(<VfsLfs2>, '/')]", b"", True),
        ("[(<VfsLfs2>, '/'), (<VfsFat>, '/sd')]", b"", True),  # a memory card is not where sets lie
        ("[(<VfsFat>, '/')]", b"", False),
        ("[(<VfsLfs2>, '/flash'), (<VfsFat object at 3ffe>, '/')]", b"", False),
        ("", b"\x01\0\0\0\xf0\x0f\xff\xf7littlefs", True),
        ("", b"\xeb\xfe\x90MSDOS5.0\0\x02\x01\x01\0", False),
    ],
)
def test_which_file_systems_are_taken(fs: str, head: bytes, taken: bool) -> None:
    session: Any = _Session(fs, head)
    with nullcontext() if taken else pytest.raises(BoardError):
        check_file_system(session, "/dev/ttyUSB0")


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_hundred_updates_in_sequence(bench: Bench) -> None:
    """No leak of descriptors, threads or memory, no drift of time."""
    seconds = []
    descriptors = []
    memory = []
    before = threading.active_count()
    page = os.sysconf("SC_PAGE_SIZE")
    for turn in range(200):
        endpoint = f"{'abcdefgh'[turn % 8]}1b2c3d4e5f6g7"
        report = update(bench.product(a1b2c3d4e5f6g7=endpoint), bench.device, bench.port)
        assert report.outcome == "pass", f"update {turn}: {report.message}"
        seconds.append(report.wire["seconds"])
        descriptors.append(len(os.listdir("/proc/self/fd")))
        memory.append(int(Path("/proc/self/statm").read_text().split()[1]) * page // 1024)
    threads = threading.active_count()
    first, last = sorted(seconds[10:40])[15], sorted(seconds[-30:])[15]
    print(
        f"200 updates: median {first:.3f} s at the start, {last:.3f} s at the end; descriptors {descriptors[10]} and {descriptors[-1]}; "
        f"{memory[20]} KB and {memory[-1]} KB; {threads} threads"
    )
    assert descriptors[-1] <= descriptors[10]
    assert memory[-1] < memory[20] + 2048
    assert threads <= before
    assert last < first * 1.5
