"""The `security` block: what it refuses, and that nothing is burned without the option, a terminal and the sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.cli.main import run as twinroot
from provisioning.config.load import load_board
from provisioning.errors import InputError
from provisioning.flash import efuse
from provisioning.job import security
from provisioning.virtual import VirtualBoard
from tests.flash import products

_BLOCK = 'security: {flash_encryption: MODE, flash_key: "keys/{mac}-flash.bin"}\n'
linux = pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")


def board_file(folder: Path, block: str, extends: str = "esp32-generic") -> Path:
    path = folder / "board.yaml"
    path.write_text(f"extends: {extends}\n{block}")
    return path


@pytest.mark.parametrize(
    ("block", "extends", "says"),
    [
        ("security: {secure_boot: true}\n", "esp32-generic", "is not signed"),
        ("security: {flash_encryption: release}\n", "esp32-generic", "without a flash_key"),
        ('security: {flash_key: "{mac}.bin"}\n', "esp32-generic", "without flash_encryption"),
        ("security: {flash_encryption: release, flash_key: one-for-all.bin}\n", "esp32-generic", "must not share a key"),
        ("security: {flash_encryption: on, flash_key: x}\n", "esp32-generic", "development"),
        ('security: {nvs_key: "{mac}.bin"}\n', "esp32-generic", "no HMAC unit"),
        ('security: {flash_encryption: release, flash_key: "{mac}.bin"}\n', "esp32-c2", "esp32c2"),
        ("security: {flash_encrypt: release}\n", "esp32-generic", "flash_encryption"),
    ],
)
def test_a_block_that_cannot_be_meant(tmp_path: Path, block: str, extends: str, says: str) -> None:
    with pytest.raises(InputError, match=r"board\.yaml:2") as caught:
        load_board(board_file(tmp_path, block, extends))
    assert says in caught.value.message + caught.value.hint


def test_key_files_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    board_file(tmp_path, _BLOCK.replace("MODE", "development"))
    child = tmp_path / "sub" / "child.yaml"
    child.write_text("extends: ../board.yaml\n")
    assert load_board(child).security.flash_key == str(tmp_path / "keys" / "{mac}-flash.bin")
    assert load_board("esp32-generic").security.flash_encryption is None


class Bench:
    """A virtual board whose fuses are espefuse's virtual ones, and a person at a terminal who types `typed`."""

    def __init__(self, folder: Path, board: VirtualBoard, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = products.make(folder / "product")
        self.board = board
        self.fuses = folder / "fuses"
        self.typed = ""
        self.asked: list[str] = []
        for name, value in self.made.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(security, "place", lambda chip, _port: efuse.Where(chip, virtual=self.fuses))
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
        monkeypatch.setattr("click.prompt", self._prompt)
        efuse.summary(efuse.Where("esp32", virtual=self.fuses))  # makes the file

    def _prompt(self, text: str, **_: object) -> str:
        self.asked.append(text)
        return self.typed

    def asks_for(self, mode: str) -> None:
        path = self.made.folder / "board.yaml"
        path.write_text(path.read_text() + _BLOCK.replace("MODE", mode))

    def flash(self, *arguments: str) -> int:
        return twinroot(["flash", str(self.made.product), "--port", self.board.port, *arguments])

    @property
    def key(self) -> Path:
        return self.made.folder / "keys" / f"{self.board.mac.replace(':', '')}-flash.bin"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with VirtualBoard(paced=False, blank=True) as board:
        yield Bench(tmp_path, board, monkeypatch)


@linux
@pytest.mark.parametrize(("mode", "count"), [("development", 1), ("release", 127)])
def test_the_sentence_burns_what_was_shown(bench: Bench, capsys: pytest.CaptureFixture[str], mode: str, count: int) -> None:
    bench.asks_for(mode)
    bench.typed = f"burn {bench.board.mac} for ever"
    assert bench.flash("--burn-efuses") == 0
    out, said = capsys.readouterr()
    assert bench.typed in bench.asked[0] and f"FLASH_CRYPT_CNT {count}" in said and "Stock MicroPython" in said
    found = efuse.summary(efuse.Where("esp32", virtual=bench.fuses))
    assert found["FLASH_CRYPT_CNT"] == count and found["ABS_DONE_0"] is False, "no secure boot"
    # The key was made for this chip, is its owner's alone, and is nowhere else.
    assert bench.key.stat().st_size == 32 and bench.key.stat().st_mode & 0o777 == 0o600
    secret = bench.key.read_bytes().hex()
    logs = [path.read_text() for path in (bench.made.folder / "cache" / "logs").rglob("*.log")]
    assert logs
    for text in (out, said, *logs):
        spoken = text.lower().replace(" ", "").replace("0x", "")
        assert secret not in spoken and bytes.fromhex(secret)[::-1].hex() not in spoken


@linux
@pytest.mark.parametrize("typed", ["", "yes", "burn 24:0a:c4:00:00:99 for ever"])
def test_without_the_sentence_nothing_is_burned(bench: Bench, capsys: pytest.CaptureFixture[str], typed: str) -> None:
    bench.asks_for("release")
    before = bench.fuses.read_bytes()
    bench.typed = typed
    assert bench.flash("--burn-efuses") == 2
    assert "Nothing was burned" in capsys.readouterr().err
    assert bench.fuses.read_bytes() == before and not bench.key.exists()


@linux
def test_without_a_terminal_there_is_no_question(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.asks_for("release")
    bench.typed = f"burn {bench.board.mac} for ever"
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    before = bench.fuses.read_bytes()
    assert bench.flash("--burn-efuses") == 2
    assert bench.fuses.read_bytes() == before and bench.asked == []


@linux
def test_a_flash_without_the_option_burns_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block alone changes nothing: the board gets its plain firmware, and no espefuse is started."""
    bench.asks_for("release")
    bench.typed = f"burn {bench.board.mac} for ever"
    monkeypatch.setattr(efuse, "burn", lambda *_: pytest.fail("burned"))
    before = bench.fuses.read_bytes()
    assert bench.flash("--device", "ws-0001") == 0
    assert bench.fuses.read_bytes() == before and bench.asked == [] and not bench.key.exists()


@linux
def test_what_is_refused_before_a_person_is_asked(bench: Bench) -> None:
    assert bench.flash("--burn-efuses") == 2, "no security block"
    bench.asks_for("development")
    bench.key.parent.mkdir()
    bench.key.write_bytes(b"short")
    assert bench.flash("--burn-efuses") == 2, "not a key"
    bench.key.write_bytes(os.urandom(32))
    bench.key.chmod(0o644)
    assert bench.flash("--burn-efuses") == 2, "a key that everybody can read"
    assert bench.flash("--burn-efuses", "--port", "/dev/ttyUSB9") == 2, "two ports"
    assert bench.asked == []


@linux
def test_a_chip_that_is_locked_already_is_left_alone(bench: Bench) -> None:
    bench.asks_for("development")
    board = load_board(bench.made.folder / "board.yaml")
    chip = security.ChipSecurity(
        "esp32", "v3.0", bench.board.mac, efuse.Where("esp32", virtual=bench.fuses), bench.fuses, "flash encryption"
    )
    with pytest.raises(Exception, match="flash encryption on already") as caught:
        security.Burn.of(board, chip)
    assert getattr(caught.value, "exit_code", None) == 1


@linux
def test_the_fuses_of_a_board_are_read_through_its_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = products.make(tmp_path / "product")
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    with VirtualBoard(paced=False) as board:
        flash = board.read_flash(0, 0x10000)
        chip = security.look(load_board(made.folder / "board.yaml"), board.port)
        assert (chip.mac, chip.name, chip.locked) == (board.mac, "esp32", "")
        boots = board.counters()["boots"]
        assert chip.fuses()["FLASH_CRYPT_CNT"] == 0
        assert board.counters()["boots"] == boots + 1 or board.happens("boot", 10), "its program runs again"
        assert board.read_flash(0, 0x10000) == flash
