"""Board files: what ships, inheritance, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provisioning.config.load import SCHEMAS, list_boards, load_board, schema, schema_text
from provisioning.errors import InputError
from provisioning.resources import folder
from tests.support.command import twinroot

# Boot-loader offsets as in esptool's chip table; MicroPython's combined image starts there.
OFFSETS = {"esp32": 0x1000, "esp32s2": 0x1000, "esp32s3": 0, "esp32c2": 0, "esp32c3": 0, "esp32c5": 0x2000, "esp32c6": 0}


def board_file(folder: Path, text: str, name: str = "mine") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        load_board(path)
    return caught.value


@pytest.mark.parametrize("name", list_boards())
def test_shipped_boards(name: str) -> None:
    board = load_board(name)
    assert board.name == name
    assert board.firmware.offset == OFFSETS[board.chip]
    files = (0x310000, 0xF0000) if board.slots else (0x200000, 0x200000)
    assert (board.partition.name, board.partition.offset, board.partition.size) == ("vfs", *files)
    assert board.slots is None or board.slots.size == 0x180000  # partitions-4MiB-ota.csv of MicroPython
    assert board.littlefs.version == "2.0"
    assert board.baud.repl == 115200
    assert board.native_usb == ("303a:1001" in board.usb)
    assert json.loads(json.dumps(board.summary()))["chip"] == board.chip


def test_every_chip_has_a_board() -> None:
    assert {load_board(name).chip for name in list_boards()} == set(OFFSETS)
    assert "virtual-esp32" in list_boards()


@pytest.mark.parametrize("kind", list(SCHEMAS))
def test_committed_schemas_are_current(kind: str) -> None:
    committed = (folder("boards") / "schema" / f"{kind}.json").read_text("utf-8")
    assert committed == schema_text(kind), f"run: twinroot boards schema {kind} > boards/schema/{kind}.json"


def test_board_schema_lets_a_child_leave_keys_out() -> None:
    made = schema("board")
    assert {"required": ["extends"]} in made["anyOf"]
    assert "required" not in made["$defs"]["Baud"]


def test_extends_merges_blocks_and_replaces_lists(tmp_path: Path) -> None:
    board_file(tmp_path, "extends: esp32-s3\nbaud: {rom: 921600}\nusb: ['1234:abcd']\n", "parent")
    board = load_board(board_file(tmp_path, "extends: parent.yaml\nflash_size: 16MB\npartition: {size: 0xe00000}\n"))
    assert (board.chip, board.flash_bytes, board.baud.rom, board.baud.max) == ("esp32s3", 16 << 20, 921600, 2000000)
    assert board.usb == ["1234:abcd"]
    assert (board.partition.offset, board.partition.size) == (0x200000, 0xE00000)


def test_firmware_file_is_relative_to_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "hardware").mkdir()
    image = f"firmware: {{file: fw.bin, sha256: {'ab' * 32}, version: '1.27.0'}}\n"
    board_file(tmp_path / "hardware", "extends: esp32-c3\n" + image, "parent")
    board = load_board(board_file(tmp_path, "extends: hardware/parent.yaml\n"))
    assert board.firmware_file == (tmp_path / "hardware" / "fw.bin").resolve()
    assert board.firmware.offset == 0


def test_an_error_in_the_parent_names_the_parent(tmp_path: Path) -> None:
    board_file(tmp_path, "extends: esp32-c3\nbaud:\n  max: fast\n", "parent")
    error = refused(board_file(tmp_path, "extends: parent.yaml\nbaud:\n  rom: 115200\n"))
    assert "parent.yaml:3: key 'baud.max': found 'fast'" in error.message


@pytest.mark.parametrize(
    ("more", "says", "hint"),
    [
        ("chp: esp32\n", ":2: key 'chp' is not known, expected one of extends, description, chip,", "Did you mean 'chip'?"),
        ("baud: {maxx: 1}\n", ":2: key 'baud.maxx' is not known, expected one of repl, max, rom.", "Did you mean 'max'?"),
        ("chip: esp32-s3\n", ":2: key 'chip': found 'esp32-s3', expected one of esp32,", "Did you mean 'esp32s3'?"),
        ("chip: esp8266\n", "cannot verify a server at all", "ESP32"),
        ("chip: esp32h2\n", "no Wi-Fi", ""),
        ("flash_size: 4\n", "key 'flash_size': found 4, expected the size of the flash chip, such as 4MB.", "Write `4MB`."),
        ("flash_size: 5MB\n", "found '5MB'", ""),
        ("filesystem: fat\n", "not atomic under power loss", "vfs"),
        ("filesystem: littlefs2\n", "found 'littlefs2', expected one of littlefs, fat.", "Did you mean 'littlefs'?"),
        ("partition: {offset: 0x200001}\n", "multiple of 0x1000", ""),
        ("partition: {size: 0x400000}\n", "ends at 0x600000, behind the end of 4MB of flash", ""),
        ("native_usb: yes\n", "found 'yes', expected true", ""),
        ("usb: []\n", "found a list, expected a list of VID:PID", ""),
        ("usb: [10c4-ea60]\n", "key 'usb[0]': found '10c4-ea60'", ""),
        ("usb: 10c4:ea60\n", "found '10c4:ea60', expected a list", ""),
        ("littlefs: {version: 2.0}\n", "found 2.0, expected one of 2.0, 2.1.", "in quotes"),
        ("firmware: {file: a.bin}\n", "names an image without its sha256", "sha256"),
        ("firmware: {file: a.bin, url: 'http://x/a.bin'}\n", "both 'file' and 'url'", ""),
        ("baud:\n", "key 'baud': found nothing, expected a block of rates", ""),
        ("baud: {max: true}\n", "found true, expected the highest rate", ""),
        ("reset: {before: usb}\n", "expected one of default-reset, usb-reset, no-reset", ""),
    ],
)
def test_wrong_keys_and_values(tmp_path: Path, more: str, says: str, hint: str) -> None:
    error = refused(board_file(tmp_path, "extends: esp32-generic\n" + more))
    assert "mine.yaml:2: key" in error.message
    assert says in error.message
    assert hint in error.hint


def test_what_is_missing_without_a_parent(tmp_path: Path) -> None:
    error = refused(board_file(tmp_path, "chip: esp32\n"))
    assert "key 'baud': is missing, expected a block of rates" in error.message
    assert "more problems" in error.hint


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("extends: mine.yaml\n", "in a circle"),
        ("extends: esp32-s33\n", "expected one of esp32-c2"),
        ("extends: gone.yaml\n", "there is no file"),
    ],
)
def test_extends_that_leads_nowhere(tmp_path: Path, text: str, says: str) -> None:
    error = refused(board_file(tmp_path, text))
    assert "mine.yaml:1: key 'extends'" in error.message
    assert says in error.message


def test_a_circle_of_two(tmp_path: Path) -> None:
    board_file(tmp_path, "extends: b.yaml\n", "a")
    assert "a -> b -> a" in refused(board_file(tmp_path, "extends: a.yaml\n", "b")).message.replace("b -> a -> b", "a -> b -> a")


def test_a_number_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_RATE", "230400")
    assert load_board(board_file(tmp_path, "extends: esp32-c3\nbaud: {max: !env TEST_RATE}\n")).baud.max == 230400
    monkeypatch.setenv("TEST_RATE", "quick")
    assert "found !env TEST_RATE, expected the highest rate" in refused(tmp_path / "mine.yaml").message


@pytest.mark.parametrize(
    ("slots", "said"),
    [("{size: 0x188000}", "multiple of 0x10000"), ("{size: 0x190000}", "two slots up to 0x330000")],
)
def test_slots_that_cannot_be(tmp_path: Path, slots: str, said: str) -> None:
    found = refused(board_file(tmp_path, f"extends: esp32-ota\nslots: {slots}\n"))
    assert said in found.message


def test_commands(tmp_path: Path) -> None:
    listed = twinroot("boards", "list", "--json", cwd=tmp_path)
    assert [row["name"] for row in json.loads(listed.stdout)["boards"]] == list_boards()
    shown = twinroot("boards", "show", "esp32-c6", cwd=tmp_path)
    assert shown.returncode == 0
    assert "esp32c6" in shown.stdout
    assert "https://micropython.org/download/ESP32_GENERIC_C6/" in shown.stdout
    wrong = twinroot("boards", "show", "esp32-c7", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "Did you mean 'esp32-c6'?" in wrong.stderr
    assert json.loads(twinroot("boards", "schema", "product", "--json", cwd=tmp_path).stdout)["type"] == "object"
