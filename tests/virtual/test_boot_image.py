"""Images that esptool itself made boot: programs in ELF, elf2image, merged into one file as MicroPython's downloads are."""

from __future__ import annotations

import struct
import subprocess
import sys

import pytest

from provisioning.chips import CHIPS
from provisioning.virtual import boot_image, partition
from provisioning.virtual.bootrom import examine
from provisioning.virtual.nor_flash import NorFlash

# Addresses of the linker scripts: read-only data and code in flash, data and code in RAM; ELF's number for the CPU.
MAPS = {
    "esp32": (0x3F400020, 0x400D0020, 0x3FFB0000, 0x40080000, 94),
    "esp32s3": (0x3C000020, 0x42010020, 0x3FC90000, 0x40374000, 94),
    "esp32c3": (0x3C000020, 0x42010020, 0x3FC90000, 0x40380000, 243),
}
APP_DESCRIPTION = struct.pack("<II8s32s32s16s16s32s32s80x", 0xABCD5432, 0, b"", b"v1.29.0", b"micropython", b"12:00:00", b"Jan  1 2026",
                              b"v5.5", bytes(32))  # fmt: skip


def elf(machine: int, entry: int, sections: dict[str, tuple[int, bytes]]) -> bytes:
    """An ELF file of 32 bits with these sections: {name: (address, content)}."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in sections) + b".shstrtab\0"
    content, rows = b"", [bytes(40)]
    at = 52
    for name, (address, data) in sections.items():
        flags = 6 if "text" in name else 2  # allocated, executable
        rows.append(struct.pack("<10I", names.index(name.encode()), 1, flags, address, at, len(data), 0, 0, 4, 0))
        content += data
        at += len(data)
    rows.append(struct.pack("<10I", names.index(b".shstrtab"), 3, 0, 0, at, len(names), 0, 0, 1, 0))
    content += names
    head = struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\x01\x01\x01", 2, machine, 1, entry, 0, 52 + len(content), 0, 52, 0, 0, 40, len(rows),
                       len(rows) - 1)  # fmt: skip
    return head + content + b"".join(rows)


def esptool(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "esptool", *arguments], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module", params=sorted(MAPS))
def download(request, tmp_path_factory):
    """(chip, one file as MicroPython offers it, the application alone)."""
    chip = CHIPS[request.param]
    rodata, text, data, iram, machine = MAPS[chip.name]
    folder = tmp_path_factory.mktemp(chip.name)
    programs = {
        "loader": {".dram0.data": (data, b"data" * 300), ".iram0.text": (iram, b"text" * 2000)},
        "app": {
            ".flash.appdesc": (rodata, APP_DESCRIPTION + b"rodata.." * 5000),
            ".dram0.data": (data, b"data" * 500),
            ".iram0.text": (iram, b"text" * 3000),
            ".flash.text": (text, b"code" * 30000),
        },
    }
    for name, sections in programs.items():
        (folder / f"{name}.elf").write_bytes(elf(machine, iram, sections))
        esptool("--chip", chip.name, "elf2image", "--flash-mode", "dio", "--flash-size", "4MB",
                "-o", str(folder / f"{name}.bin"), str(folder / f"{name}.elf"))  # fmt: skip
    (folder / "table.bin").write_bytes(partition.encode(partition.standard(4 << 20)))
    offset = hex(chip.boot_offset)
    esptool("--chip", chip.name, "merge-bin", "-t", offset, "-o", str(folder / "firmware.bin"), offset, str(folder / "loader.bin"),
            "0x8000", str(folder / "table.bin"), "0x10000", str(folder / "app.bin"))  # fmt: skip
    return chip, folder / "firmware.bin", folder / "app.bin"


@pytest.fixture
def flash(tmp_path):
    flash = NorFlash(tmp_path / "flash.bin", 4 << 20)
    yield flash
    flash.close()


def test_a_download_boots_as_it_is(download, flash):
    chip, firmware, _ = download
    flash.load(firmware.read_bytes(), chip.boot_offset)
    verdict = examine(chip, flash)
    assert verdict.boots, verdict.text
    assert verdict.quiet == (0x200000, 0x400000)
    # The ROM names what it loads.
    _, _, data, iram, _ = MAPS[chip.name]
    assert f"load:0x{data:08x},len:1200\r\nload:0x{iram:08x},len:8000\r\nentry 0x{iram:08x}\r\n" in verdict.text


def test_the_board_reads_an_image_as_esptool_does(download):
    chip, _, app = download
    content = app.read_bytes()
    found = boot_image.check(content, with_hash=True)
    said = esptool("--chip", chip.name, "image-info", str(app))
    assert f"Image size: {len(content)} bytes" in said
    assert found.length == len(content)
    assert "Flash size: 4MB" in said
    assert found.flash_size == 4 << 20
    assert f"Validation hash: {content[-32:].hex()} (valid)" in said
    assert "(valid)" in said.partition("Checksum:")[2].splitlines()[0]


@pytest.mark.parametrize("where", ["segment", "checksum", "hash"])
def test_what_esptool_calls_invalid_does_not_boot(download, flash, tmp_path, where):
    chip, firmware, app = download
    content = bytearray(app.read_bytes())
    at = {"segment": len(content) // 2, "checksum": -33, "hash": -1}[where]
    content[at] ^= 0x01
    damaged = tmp_path / "app.bin"
    damaged.write_bytes(content)
    assert "invalid" in esptool("--chip", chip.name, "image-info", str(damaged))
    flash.load(firmware.read_bytes(), chip.boot_offset)
    flash.load(bytes(content), 0x10000)
    verdict = examine(chip, flash)
    assert not verdict.boots
    assert "app partition is not bootable" in verdict.text


@pytest.mark.parametrize("download", ["esp32s3"], indirect=True)
def test_a_download_that_esptool_wrote_runs(make_virtual_board, download):
    from tests.virtual.board_io import Repl

    chip, firmware, _ = download
    board = make_virtual_board(chip=chip.name, blank=True, paced=False)
    esptool("--chip", chip.name, "--port", board.rfc2217, "write-flash", hex(chip.boot_offset), str(firmware))
    link = Repl(board.pty)
    link.enter()  # esptool's hard reset started it
    assert chip.title in link.run("import os; print(os.uname().machine)")
    link.close()
