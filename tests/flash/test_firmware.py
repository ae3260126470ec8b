"""A firmware file is checked to the last byte before a port is opened; one that is downloaded is there whole or not at all."""

from __future__ import annotations

import hashlib
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.config.board_type import BoardType
from provisioning.config.load import load_board
from provisioning.errors import InputError, StationError
from provisioning.flash import app_image, downloads, firmware, partition
from tests.flash.images import board_file, half_random
from tests.flash.images import firmware as make_firmware
from tests.flash.images import image as make_image


def load(folder: Path, content: bytes, **options: str) -> firmware.Firmware:
    return firmware.load(load_board(board_file(folder, content, **options)))


def refused(folder: Path, content: bytes, code: str, **options: str) -> InputError:
    with pytest.raises(InputError) as caught:
        board = load_board(board_file(folder, content, **options))
        firmware.file_system(board, firmware.load(board))
    assert caught.value.code == code, caught.value.message
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("chip", "extends"), [("esp32", "esp32-generic"), ("esp32s3", "esp32-s3"), ("esp32c3", "esp32-c3"), ("esp32c6", "esp32-c6")]
)
def test_a_good_image(tmp_path: Path, chip: str, extends: str) -> None:
    content = make_firmware(chip)
    found = load(tmp_path, content, extends=extends)
    assert found.sha256 == hashlib.sha256(content).hexdigest() and found.size == len(content)
    assert [p.label for p in found.table] == ["nvs", "phy_init", "factory", "vfs"]
    row = found.partition("vfs")
    assert row is not None and (row.offset, row.size) == (0x200000, 0x200000)


def test_esptool_agrees_about_the_test_images(tmp_path: Path) -> None:
    """The generator is checked by the tool that the field uses, so that a test image is not only good for our own parser."""
    (tmp_path / "app.bin").write_bytes(make_image("esp32", half_random(5000, 3)))
    run = subprocess.run(
        [sys.executable, "-m", "esptool", "--chip", "esp32", "image-info", "app.bin"], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0 and "(valid)" in run.stdout and "invalid" not in run.stdout, run.stdout


def test_a_wrong_hash(tmp_path: Path) -> None:
    error = refused(tmp_path, make_firmware(), "firmware-hash", sha256="0" * 64)
    assert "0000" in error.message


@pytest.mark.parametrize("at", [0, 1, 30, 15_000, 0x10000 - 0x1000, 0x10000 - 0x1000 + 1000])
def test_a_changed_byte_is_found_by_the_image_itself(tmp_path: Path, at: int) -> None:
    """The hash in the board file matches here: the file was damaged before somebody computed it."""
    content = bytearray(make_firmware())
    content[at] ^= 0x5A
    refused(tmp_path, bytes(content), "firmware-image")


@pytest.mark.parametrize("size", [0, 10, 20_000 - 4096, 0x8000, 100_000])
def test_a_cut_file(tmp_path: Path, size: int) -> None:
    refused(tmp_path, make_firmware()[:size], "firmware-image")


def test_another_chips_image(tmp_path: Path) -> None:
    assert "esp32s3" in refused(tmp_path, make_firmware("esp32s3"), "firmware-chip").message


def test_a_wrong_offset(tmp_path: Path) -> None:
    content = make_firmware("esp32s3")
    path = board_file(tmp_path, content, extends="esp32-s3")
    path.write_text(path.read_text().replace('version: "1.27.0"', 'version: "1.27.0", offset: 0x1000'))
    with pytest.raises(InputError) as caught:
        firmware.load(load_board(path))
    assert caught.value.code == "firmware-offset" and "0x0" in caught.value.hint


def test_too_big_for_the_flash(tmp_path: Path) -> None:
    refused(tmp_path, make_firmware(size=4 * 1024 * 1024), "firmware-image")


def test_made_for_more_flash_than_the_board_has(tmp_path: Path) -> None:
    content = bytearray(make_firmware())
    assert content[3] == 0x20, "4 MB"
    more = "flash_size: 2MB\npartition: {offset: 0x100000, size: 0x100000}\n"
    assert "made for 4MB" in refused(tmp_path, bytes(content), "firmware-image", more=more).message


def test_partitions(tmp_path: Path) -> None:
    assert "vfs2" in refused(tmp_path, make_firmware(label="vfs2"), "no-partition").message
    refused(tmp_path, make_firmware(label="ffat"), "needs-littlefs")
    refused(tmp_path, make_firmware(), "partition-too-small", more="flash_size: 8MB\npartition: {offset: 0x200000, size: 0x300000}\n")


@pytest.mark.parametrize(("flash", "size"), [("4MB", 0x200000), ("16MB", 0xE00000)])
def test_a_table_without_a_file_system_leaves_it_the_rest(tmp_path: Path, flash: str, size: int) -> None:
    """Stock images from MicroPython 1.26 on."""
    board = load_board(board_file(tmp_path, make_firmware(label=""), more=f"flash_size: {flash}\n"))
    found = firmware.load(board)
    assert [row.label for row in found.table] == ["nvs", "phy_init", "factory"]
    place = firmware.file_system(board, found)
    assert (place.label, place.offset, place.size) == ("vfs", 0x200000, size)
    assert firmware.file_system(board, found, 8 << 20).size == 0x600000, "the flash that is really there decides"


def test_an_older_image_without_a_file_system_is_refused(tmp_path: Path) -> None:
    path = board_file(tmp_path, make_firmware(label=""))
    path.write_text(path.read_text().replace('"1.27.0"', '"1.25.0"'))
    board = load_board(path)
    with pytest.raises(InputError) as caught:
        firmware.file_system(board, firmware.load(board))
    assert caught.value.code == "no-partition"


def test_an_image_without_a_table_gets_one(tmp_path: Path) -> None:
    board = load_board(board_file(tmp_path, make_firmware(table=False)))
    found = firmware.load(board)
    assert found.table == ()
    place = firmware.file_system(board, found)
    assert partition.parse(partition.make(partition.stock(place.label, place.offset, place.size)))[-1] == place


def test_a_damaged_table(tmp_path: Path) -> None:
    content = bytearray(make_firmware())
    content[0x8000 - 0x1000 + 40] ^= 1
    assert "MD5" in refused(tmp_path, bytes(content), "firmware-image").message


def test_no_firmware_is_said_with_the_place_to_get_it() -> None:
    with pytest.raises(InputError) as caught:
        firmware.load(load_board("esp32-generic"))
    assert caught.value.code == "no-firmware" and "micropython.org" in caught.value.hint


def test_images_end_where_they_say(tmp_path: Path) -> None:
    made = make_image("esp32c3", b"x" * 1001, least=3)
    found = app_image.parse(made + b"more")
    assert (found.size, found.chip_id, found.min_revision) == (len(made), 5, 3)
    for cut in range(0, len(made), 97):
        with pytest.raises(app_image.BadImage):
            app_image.parse(made[:cut])


class Server(http.server.BaseHTTPRequestHandler):
    content = b""
    asked = 0
    cut = False

    def do_GET(self) -> None:
        type(self).asked += 1
        if self.path != "/firmware.bin":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content[: len(self.content) // 2] if self.cut else self.content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[type[Server], str]]:
    monkeypatch.setenv("TWINROOT_CACHE", str(tmp_path / "cache"))
    handler = type("OneServer", (Server,), {"content": make_firmware(), "asked": 0, "cut": False})
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield handler, f"http://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    httpd.server_close()


def url_board(folder: Path, url: str, sha256: str) -> BoardType:
    path = folder / "board.yaml"
    path.write_text(f'extends: esp32-generic\nfirmware: {{url: "{url}", sha256: "{sha256}", version: "1.27.0"}}\n')
    return load_board(path)


def left(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "cache" / "firmware").glob("*")] if (tmp_path / "cache").exists() else []


def test_a_download_happens_once(tmp_path: Path, server: tuple[type[Server], str]) -> None:
    handler, base = server
    sha256 = hashlib.sha256(handler.content).hexdigest()
    board = url_board(tmp_path, f"{base}/firmware.bin", sha256)
    assert left(tmp_path) == []
    seen: list[int] = []
    assert firmware.load(board, lambda done, _total: seen.append(done)).sha256 == sha256
    firmware.load(board)
    assert handler.asked == 1 and seen[-1] == len(handler.content)
    assert left(tmp_path) == [f"{sha256}.bin"]


def test_a_download_with_another_hash_is_not_cached(tmp_path: Path, server: tuple[type[Server], str]) -> None:
    with pytest.raises(InputError) as caught:
        firmware.load(url_board(tmp_path, f"{server[1]}/firmware.bin", "ab" * 32))
    assert caught.value.code == "firmware-hash" and left(tmp_path) == []


def test_a_download_that_breaks_is_not_cached(tmp_path: Path, server: tuple[type[Server], str]) -> None:
    handler, base = server
    handler.cut = True
    with pytest.raises(StationError) as caught:
        firmware.load(url_board(tmp_path, f"{base}/firmware.bin", hashlib.sha256(handler.content).hexdigest()))
    assert caught.value.code == "no-download" and left(tmp_path) == []


@pytest.mark.parametrize(("path", "code"), [("/other.bin", "firmware-url")])
def test_a_wrong_address(tmp_path: Path, server: tuple[type[Server], str], path: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        firmware.load(url_board(tmp_path, server[1] + path, "ab" * 32))
    assert caught.value.code == code and left(tmp_path) == []


def test_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINROOT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(StationError) as caught:
        firmware.load(url_board(tmp_path, "http://127.0.0.1:9/firmware.bin", "ab" * 32))
    assert caught.value.code == "no-download"


def test_the_cache_is_where_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINROOT_CACHE", str(tmp_path / "x"))
    assert downloads.place("AB" * 32) == tmp_path / "x" / "firmware" / f"{'ab' * 32}.bin"
