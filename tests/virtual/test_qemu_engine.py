"""The engine qemu with a stand-in for QEMU (fake_qemu.py): its questions, ports, reset lines, power, state and refusals.

The same with a real one: test_qemu_real.py, collected where TWINROOT_QEMU names it, and `make silicon`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import serial

from provisioning.errors import InputError, StationError
from provisioning.link.port import open_port
from provisioning.virtual import VirtualBoard
from provisioning.virtual.qemu.efuse import crc8
from tests.virtual.board_io import Lines, gone
from tests.virtual.fake_emulator import fake, image

COMMAND = [sys.executable, "-m", "provisioning.virtual", "--engine", "qemu"]


@pytest.fixture
def qemu(tmp_path):
    return fake(tmp_path / "qemu")


@pytest.fixture
def firmware(tmp_path):
    return image(tmp_path / "firmware.bin", "esp32")


def emulated(qemu, firmware, **options):
    return VirtualBoard(engine="qemu", qemu=qemu, firmware=firmware, paced=False, **options)


def test_the_json_is_that_of_every_board(qemu, firmware, tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "--qemu", qemu, "--firmware", firmware, "--count", "2", "--state", tmp_path / "s", "--json"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    boards = [json.loads(process.stdout.readline()) for _ in range(2)]
    for board in boards:
        assert {"port", "pty", "mac", "board", "state", "pid"} <= set(board)
        assert (board["chip"], board["board"], board["engine"], board["wifi"]) == ("esp32", "esp32-generic", "qemu", True)
        with Lines(board["port"]) as link:
            assert link.ask("hello", "echo ") == "hello"
    assert boards[0]["mac"] != boards[1]["mac"]
    process.terminate()
    assert process.wait(10) == 0
    process.stdout.close()


@pytest.mark.parametrize(("chip", "board"), [("esp32", "esp32-generic"), ("esp32c3", "esp32-c3")])
def test_chip_and_offset_are_those_of_the_image(qemu, tmp_path, chip, board):
    with emulated(qemu, image(tmp_path / "it.bin", chip)) as vb, Lines(vb.pty) as link:
        assert (vb.info["chip"], vb.info["board"]) == (chip, board)
        link.ask("once", "echo ")  # the boot's text is through
        assert "SPI_FAST_FLASH_BOOT" in vb.log() and "invalid header" not in vb.log()


def test_a_merged_image_is_taken_as_it_is(qemu, firmware, tmp_path):
    merged = tmp_path / "merged.bin"
    merged.write_bytes(b"\xff" * 0x1000 + firmware.read_bytes())
    with emulated(qemu, merged) as one, emulated(qemu, firmware) as other:
        assert one.read_flash(0, 0x20000) == other.read_flash(0, 0x20000)


def test_the_mac_is_in_the_efuses(qemu, firmware):
    assert crc8(bytes.fromhex("100100c40a24")) == 0xFE  # the pair that QEMU has by default
    with emulated(qemu, firmware) as vb, Lines(vb.pty) as link:
        fuses = bytes.fromhex(link.ask("mac", "efuse "))
        address = bytes.fromhex(vb.mac.replace(":", ""))
        assert (fuses[4:10][::-1], fuses[10]) == (address, crc8(address))


def test_reset_lines_choose_loader_or_firmware(qemu, firmware):
    with emulated(qemu, firmware) as vb, serial.serial_for_url(vb.rfc2217, 115200, timeout=10) as port:
        for dtr, rts, mark in ((True, False, b"waiting for download"), (False, False, b">>> ")):
            port.reset_input_buffer()
            port.dtr, port.rts = False, True  # EN low
            port.dtr = dtr  # IO0 low, or not
            port.rts = rts  # EN high
            assert mark in port.read_until(mark)


def test_power_and_flash(qemu, firmware):
    with emulated(qemu, firmware) as vb, Lines(vb.pty) as link:
        pid = int(link.ask("pid", "pid "))
        link.ask("write 200000 c0ffee", "written")
        vb.power_off()
        assert gone(pid)
        vb.snapshot()
        vb.load_flash(0x200000, b"\0\0\0")
        vb.restore()
        vb.power_on()
        link.until(">>> ")
        assert vb.read_flash(0x200000, 3) == b"\xc0\xff\xee"
        with pytest.raises(InputError) as caught:
            vb.load_flash(0, b"\0")
        assert caught.value.code == "power-is-on"


def test_a_killed_board_takes_qemu_along_and_keeps_its_flash(qemu, firmware, tmp_path):
    vb = emulated(qemu, firmware, state=tmp_path / "s").start()
    with Lines(vb.pty) as link:
        pid = int(link.ask("pid", "pid "))
        link.ask("write 200000 c0ffee", "written")
    mac = vb.mac
    vb.kill()
    assert gone(pid)
    vb.restart()
    assert (vb.mac, vb.read_flash(0x200000, 3)) == (mac, b"\xc0\xff\xee")
    vb.close()
    with VirtualBoard(engine="qemu", qemu=qemu, state=tmp_path / "s") as again:  # the image is not needed any more
        assert (again.mac, again.info["chip"], again.info["notes"]) == (mac, "esp32", [])
    with emulated(qemu, firmware, state=tmp_path / "s") as again:
        assert ["stays as it is" in note for note in again.info["notes"]] == [True]
        assert again.read_flash(0x200000, 3) == b"\xc0\xff\xee"


def test_qemu_ends_when_whoever_started_the_board_dies(qemu, firmware):
    code = f"""
from provisioning.virtual import VirtualBoard
import os, serial
board = VirtualBoard(engine="qemu", qemu={str(qemu)!r}, firmware={str(firmware)!r}, paced=False).start()
port = serial.serial_for_url(board.pty, timeout=20)
port.write(b"pid\\n")
print(port.read_until(b"pid ") and port.readline().decode(), flush=True)
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert gone(int(done.stdout), 10)


def test_counters_say_what_is_not_known(qemu, firmware):
    with emulated(qemu, firmware) as vb, Lines(vb.pty) as link:
        link.ask("once", "echo ")  # the boot's text is through
        vb.clear_counters()
        link.ask("hello", "echo ")
        found = vb.counters()
        assert (found["to_board"], found["to_host"], found["turns"]) == (len("hello\n"), len("echo hello\r\n"), 2)
        assert {name for name, value in found.items() if value is None} == {
            "flash_reads", "flash_read_bytes", "flash_programs", "flash_program_bytes", "flash_erases", "flash_seconds", "erases_per_block",
        }  # fmt: skip


def test_boots_of_the_chip_itself_are_seen(qemu, firmware):
    with emulated(qemu, firmware) as vb, Lines(vb.pty) as link:
        link.ask("once", "echo ")
        vb.clear_counters()
        link.ask("reset", ">>> ")
        assert (vb.counters()["boots"], vb.counters()["resets"]) == (1, 0)
        assert vb.log().count("rst:0x1") == 2


def test_faults_of_the_wire_work(qemu, firmware):
    with emulated(qemu, firmware) as vb, Lines(vb.pty) as link:
        vb.inject("drop@1:in")
        assert link.ask("hello", "echo ") == "hllo"
        vb.inject("reset@2:in")
        link.ask("hello", ">>> ")
        assert vb.counters()["resets"] == 2
        vb.inject("cut@2:in")
        link.write("hello\n")
        assert vb.wait("off")


def test_the_wire_has_the_hosts_pace(qemu, firmware):
    """5,760 bytes at 115200 baud are half a second each way."""
    with VirtualBoard(engine="qemu", qemu=qemu, firmware=firmware) as vb, Lines(vb.pty) as link:
        seconds = link.timed(lambda: link.ask("x" * 5760, "echo "))
        assert 0.9 < seconds < 3


@pytest.mark.parametrize("fault", ["worn=3", "cut-op=4", "full", "heap=60K", "clock=2000", "wifi=down"])
def test_faults_inside_the_chip_are_refused(qemu, firmware, fault):
    with pytest.raises(InputError) as caught:
        emulated(qemu, firmware, faults=[fault]).start()
    assert caught.value.code == "engine-cannot"
    assert fault.partition("=")[0] in caught.value.message


def test_a_cut_at_a_flash_operation_is_refused(qemu, firmware):
    with emulated(qemu, firmware) as vb:
        for ask in (lambda: vb.cut(4), lambda: vb.inject("cut-op=4")):
            with pytest.raises(InputError) as caught:
                ask()
            assert caught.value.code == "engine-cannot"


def test_options_that_it_skips_are_named(qemu, firmware):
    with emulated(qemu, firmware, flash_timing="typical", heap="60K") as vb:
        assert [note.split(":")[0] for note in vb.info["notes"]] == ["--flash-timing", "--heap"]


def test_a_qemu_that_dies_is_one_sentence(qemu, firmware):
    with emulated(qemu, firmware) as vb, Lines(vb.pty) as link:
        link.write("die qemu: fatal: nobody is perfect\n")
        with pytest.raises(StationError) as caught:
            for _ in range(100):
                vb.happens("boot", 1)
        assert caught.value.code == "qemu-ended"
        assert "nobody is perfect" in caught.value.message


def test_the_command_ends_with_its_emulator(qemu, firmware, tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "--qemu", qemu, "--firmware", firmware, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    board = json.loads(process.stdout.readline())
    with Lines(board["pty"]) as link:
        pid = int(link.ask("pid", "pid "))
    os.kill(pid, signal.SIGSEGV)
    out, said = process.communicate(timeout=20)
    assert process.returncode == 3
    assert (json.loads(out)["code"], len(said.splitlines())) == ("qemu-ended", 2)
    assert "signal 11" in said


def wrong(tmp_path: Path) -> dict[str, tuple[list[str], int, str]]:
    """Name -> options, exit code, code of the error."""
    good = image(tmp_path / "good.bin", "esp32")
    whole = fake(tmp_path / "whole")
    app = tmp_path / "app.bin"
    app.write_bytes(good.read_bytes()[:0x3000])
    text = tmp_path / "text.bin"
    text.write_text("no image")
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "broken"
    fake(broken)
    (broken / "qemu-system-xtensa").write_text("no program\n")
    with_it = ["--firmware", str(good)]
    return {
        "no folder": (["--qemu", str(tmp_path / "nowhere"), *with_it], 2, "qemu-folder"),
        "no qemu in it": (["--qemu", str(tmp_path / "empty"), *with_it], 2, "qemu-missing"),
        "no machine": (["--qemu", str(fake(tmp_path / "plain", machines=["virt"])), *with_it], 2, "qemu-machine"),
        "not a program": (["--qemu", str(broken), *with_it], 3, "qemu-runs-not"),
        "dies at once": (["--qemu", str(fake(tmp_path / "dying", start="qemu: no flash")), *with_it], 3, "qemu-ended"),
        "no --qemu": (with_it, 2, "option"),
        "no --firmware": (["--qemu", str(whole)], 2, "option"),
        "no such file": (["--qemu", str(whole), "--firmware", str(tmp_path / "nothing")], 2, "firmware-missing"),
        "no image": (["--qemu", str(whole), "--firmware", str(text)], 2, "firmware-image"),
        "an application": (["--qemu", str(whole), "--firmware", str(app)], 2, "firmware-image"),
        "another chip": (["--qemu", str(whole), "--firmware", str(image(tmp_path / "c6.bin", "esp32c6"))], 2, "firmware-image"),
        "not the board's chip": (["--qemu", str(whole), *with_it, "--board", "esp32-c3"], 2, "firmware-chip"),
        "not the named chip": (["--qemu", str(whole), *with_it, "--chip", "esp32c3"], 2, "firmware-chip"),
        "too much flash": (["--qemu", str(whole), "--firmware", str(image(tmp_path / "8.bin", "esp32", 8)), "--flash-size", "4MB"], 2,
                           "firmware-size"),
        "a flash that QEMU has not": (["--qemu", str(whole), *with_it, "--flash-size", "32MB"], 2, "flash-size"),
    }  # fmt: skip


CASES = [
    "no folder", "no qemu in it", "no machine", "not a program", "dies at once", "no --qemu", "no --firmware", "no such file", "no image",
    "an application", "another chip", "not the board's chip", "not the named chip", "too much flash", "a flash that QEMU has not",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_one_sentence_with_the_next_step(tmp_path, case):
    table = wrong(tmp_path)
    assert [*table] == CASES
    options, code, word = table[case]
    done = subprocess.run([*COMMAND, "--json", *options], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, json.loads(done.stdout)["code"]) == (code, word), done.stderr
    assert len(done.stderr.splitlines()) == 2 and done.stderr.startswith("twinroot: ") and "\n  next: " in done.stderr


def test_qemu_options_need_the_engine(qemu):
    done = subprocess.run([*COMMAND[:3], "--qemu", qemu], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "--engine qemu" in done.stderr


@pytest.mark.parametrize(
    ("machines", "devices", "expected"),
    [
        (["esp32c3", "esp32c3-picsimlab"], ["esp32_wifi", "open_eth"], ("esp32c3-picsimlab", "esp32c3_wifi", True)),
        (["esp32c3"], ["open_eth"], ("esp32c3", "open_eth", False)),  # Espressif's
        (["esp32c3"], [], ("esp32c3", "", False)),
    ],
)
def test_it_asks_for_machine_and_card(tmp_path, machines, devices, expected):
    from provisioning.virtual.qemu.emulator import find
    from provisioning.virtual.qemu.machines import MACHINES

    found = find(fake(tmp_path / "q", machines=machines, devices=devices), MACHINES["esp32c3"])
    assert (found.machine, found.card, found.wifi) == expected


def test_a_blank_chip_needs_no_image(qemu):
    with VirtualBoard(engine="qemu", qemu=qemu, chip="esp32c3", blank=True, paced=False) as vb:
        assert vb.read_flash(0, 64) == b"\xff" * 64
        assert vb.info["chip"] == "esp32c3"
        with open_port(vb.pty) as wire:  # the chip says it again and again
            assert wire.until(b"invalid header: 0xffffffff", 3.0).endswith(b"0xffffffff") or "invalid header: 0xffffffff" in vb.log()
