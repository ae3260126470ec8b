"""`rescue --backup` and `--restore`: every file, by the prompt and through the loader, and the power may go in between."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from provisioning.config.load import load_board
from provisioning.errors import BoardError, TwinrootError
from provisioning.flash import rom_flash
from provisioning.flash.loader_access import open_line
from provisioning.job.rescue import backup, restore
from provisioning.link import repl as repl_module
from provisioning.link.patience import Bound
from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from provisioning.rescue import blocks, copies, loader
from provisioning.rescue.prompt_files import PromptFiles
from provisioning.virtual import VirtualBoard
from tests.rescue.conftest import OWN, files_of, put
from tests.rescue.states import DEAF

KEY = b"-----BEGIN EC PRIVATE KEY-----\nno real one\n-----END EC PRIVATE KEY-----\n"


def tree(folder: Path) -> dict[str, bytes]:
    return {"/" + path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Strange:
    """A damaged file system, or one that was made to be looked at: a folder on it has this name."""

    def __init__(self, path: str) -> None:
        self._path = path

    def walk(self) -> Iterator[tuple[str, bool, int]]:
        yield self._path, True, 0


@pytest.mark.parametrize("path", ["/..", "/.", "/a/../../b", "/a//b", "/c:", "/a\nb"])
def test_a_name_that_would_lead_elsewhere_ends_the_backup(tmp_path: Path, path: str) -> None:
    with pytest.raises(BoardError) as caught:
        copies.save(Strange(path), tmp_path / "backup", copies.Whose(None, None))  # type: ignore[arg-type]
    assert caught.value.code == "strange-name" and list(tmp_path.iterdir()) == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("way", ["prompt", "ampy", "loader"])
def test_there_and_back(board: VirtualBoard, tmp_path: Path, way: str) -> None:
    """The files of a board come back after they were changed and removed; what was added stays. By ampy where there is no raw paste."""
    put(board, OWN | {"/main.py": DEAF.encode() if way == "loader" else b"x = 1\n", "/key.pem": KEY})
    whole = files_of(board)
    board.power_on()
    if way == "ampy":
        board.inject("no-raw-paste")
    folder = tmp_path / "copy"
    report = backup(board.rfc2217, folder)
    assert (report.outcome, report.transport) == ("pass", way), report.message
    saved = tree(folder)
    about = json.loads(saved.pop(f"/{copies.ABOUT}"))
    assert saved == whole and about["mac"] == board.mac
    if os.name == "posix":
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()} == {0o600}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    put_more = {"/data/settings.json": b"{}", "/new.txt": b"added"}
    with _by_loader(board, tmp_path) as files:
        for path, content in put_more.items():
            files.write(path, content)
        files.remove("/lib/driver.py")
    report = restore(board.rfc2217, folder)
    assert (report.outcome, report.transport) == ("pass", way), report.message
    assert report.written == ["/data/settings.json", "/lib/driver.py"]
    assert files_of(board) == {**whole, "/new.txt": b"added"}


def _by_loader(board: VirtualBoard, folder: Path):  # type: ignore[no-untyped-def]
    from contextlib import contextmanager

    @contextmanager
    def opened():  # type: ignore[no-untyped-def]
        with open_line(load_board("virtual-esp32"), board.rfc2217, folder / "log") as line, line.wire() as wire:
            held = loader.look(line.enter(wire), line.name)
            yield blocks.mount(held.flash, held.partition)
            wire.reset_board()

    return opened()


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """A board without power is given up soon: nothing but the wait is shorter."""
    monkeypatch.setattr(rom_flash, "_WRITE", 0.3)
    monkeypatch.setattr(rom_flash, "_TRIES", 2)
    monkeypatch.setattr(rom_flash, "ANSWER", 0.3)


NEW = {"/data/settings.json": b'{"rate": 6}', "/lib/driver.py": b"VALUE = 8\n" * 500, "/main.py": b"print('mended')\n"}


def _old_or_new(found: dict[str, bytes], old: dict[str, bytes]) -> bool:
    return all(found[path] in (content, NEW.get(path)) for path, content in old.items())


@pytest.mark.usefixtures("brief")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("step", [pytest.param(151, id="some"), pytest.param(1, id="every", marks=pytest.mark.long)])
def test_power_cut_in_a_restore(board: VirtualBoard, tmp_path: Path, step: int) -> None:
    """Through the loader: each file has its old content or its new one, and running it again ends it."""
    put(board, OWN | {"/main.py": DEAF.encode()})
    old = files_of(board)
    board.snapshot("old")
    cuts = 0
    for operation in count(0, step):
        board.restore("old")
        board.power_on()
        board.cut(operation, seed=operation + 1)
        try:
            with _by_loader(board, tmp_path) as files:
                copies.restore(files, NEW, [])
        except TwinrootError:
            assert not board.powered
        if board.powered:
            break
        cuts += 1
        found = {path: content for path, content in files_of(board).items() if not path.endswith(".new")}
        assert found.keys() == old.keys(), f"after a cut in operation {operation}"
        assert _old_or_new(found, old), f"after a cut in operation {operation}"
        board.heal()
        board.power_on()
        with _by_loader(board, tmp_path) as files:
            copies.restore(files, NEW, [])
        assert {**files_of(board)} == {**old, **NEW}
        board.power_off()
    assert cuts > 100 // step


@pytest.mark.timeout(900)
@pytest.mark.parametrize("step", [pytest.param(17, id="some"), pytest.param(1, id="every", marks=pytest.mark.long)])
def test_power_cut_in_a_restore_by_the_prompt(board: VirtualBoard, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The board writes its own files: it boots with each of them old or new, and running it again ends it."""
    monkeypatch.setattr(repl_module, "PROGRAM", Bound(0.5, 0.5, 1.0, 0.5))  # a board without power is given up soon
    monkeypatch.setattr(repl_module, "_ANSWER", 0.3)
    put(board, OWN | {"/main.py": b"x = 1\n"})
    old = files_of(board)
    board.snapshot("old")
    cuts = 0
    for operation in count(0, step):
        board.restore("old")
        board.power_on()
        with open_port(board.pty) as wire:
            repl = RawRepl(wire)
            repl.enter()
            board.cut(operation, seed=operation + 1)
            repl.enter = _gone  # type: ignore[method-assign]  # nobody waits for it to come back
            try:
                copies.restore(PromptFiles(repl), NEW, [])
            except TwinrootError:
                assert not board.powered
        if board.powered:
            break
        cuts += 1
        board.heal()
        board.power_on()
        with open_port(board.pty) as wire:
            repl = RawRepl(wire)
            repl.enter()
            found = {path: PromptFiles(repl).read(path) for path in old}
            assert _old_or_new(found, old), f"after a cut in operation {operation}"
            copies.restore(PromptFiles(repl), NEW, [])
        board.power_off()
        assert files_of(board) == {**old, **NEW}
    assert cuts > 50 // step, "twenty pages and erases a file"


def _gone(*_: object, **__: object) -> None:
    raise BoardError("board-silent", "The power is gone.", "")


FAT = "import vfs\nfrom flashbdev import bdev\nvfs.umount('/')\nvfs.VfsFat.mkfs(bdev)\n"


def test_files_on_fat(board: VirtualBoard, tmp_path: Path) -> None:
    """A board that keeps its files on FAT reads them itself; written to it is nothing, because a cut could lose what it renames."""
    with open_port(board.pty) as wire:
        repl = RawRepl(wire)
        repl.enter()
        repl.run(FAT)
    board.power_off()
    board.power_on()
    put(board, OWN)
    board.power_on()
    report = backup(board.pty, tmp_path / "copy")
    assert (report.outcome, report.transport) == ("pass", "prompt"), report.message
    saved = tree(tmp_path / "copy")
    saved.pop(f"/{copies.ABOUT}")
    assert saved == OWN
    writes = board.counters()["flash_programs"]
    report = restore(board.pty, tmp_path / "copy")
    assert (report.outcome, report.code) == ("fail", "fat-file-system"), report.message
    assert board.counters()["flash_programs"] == writes


def test_the_identity_of_another_board(board: VirtualBoard, tmp_path: Path) -> None:
    """A backup with a /trust of another board is refused before the first write: two boards would be one device."""
    folder = tmp_path / "copy"
    (folder / "trust" / "1").mkdir(parents=True)
    (folder / "trust" / "1" / "device.key.pem").write_bytes(KEY)
    (folder / copies.ABOUT).write_text(json.dumps({"mac": "24:0a:c4:ff:ff:ff", "chip": "esp32", "files": {}}))
    before = files_of(board)
    report = restore(board.pty, folder)
    assert (report.code, report.exit_code) == ("other-board", 1)
    assert files_of(board) == before


@pytest.mark.parametrize("what", ["full-folder", "no-folder", "link"])
def test_wrong_folders(board: VirtualBoard, tmp_path: Path, what: str) -> None:
    folder = tmp_path / "folder"
    if what != "no-folder":
        folder.mkdir()
        (folder / "mine").write_text("mine")
    if what == "full-folder":
        report = backup(board.pty, folder)
        assert (report.code, report.exit_code) == ("backup-exists", 2)
        assert [path.name for path in tmp_path.iterdir()] == ["folder"] and (folder / "mine").read_text() == "mine"
        return
    if what == "link":
        (folder / "passwd").symlink_to("/etc/hostname")
    report = restore(board.pty, folder)
    assert (report.code, report.exit_code) == ("no-backup" if what == "no-folder" else "bad-backup", 2)


class InOrder:
    """An empty board that writes down in which order files get their names."""

    def __init__(self) -> None:
        self.named: list[str] = []

    def walk(self) -> Iterator[tuple[str, bool, int]]:
        return iter(())

    def exists(self, path: str) -> bool:
        return False

    def make_folder(self, path: str) -> None: ...
    def write(self, path: str, content: bytes) -> None: ...
    def rename(self, old: str, new: str) -> None:
        self.named.append(new)


def test_what_makes_the_rest_count_comes_last() -> None:
    """The pointer makes a set active, and a program is started by the next boot: power that goes before has changed nothing."""
    files = InOrder()
    contents = dict.fromkeys(("/boot.py", "/main.py", "/trust/active", "/zone", "/trust/2/set.json"), b"x")
    copies.restore(files, contents, ["/trust"])  # type: ignore[arg-type]
    assert files.named == ["/trust/2/set.json", "/zone", "/trust/active", "/boot.py", "/main.py"]
