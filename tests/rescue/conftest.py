"""One virtual board per worker, and the ways in which these tests put files on it and look at them without its help."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provisioning.flash.partition import Partition
from provisioning.link import repl as repl_module
from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from provisioning.rescue import blocks
from provisioning.virtual import VirtualBoard
from tests.job.conftest import blank, started

PARTITION = Partition("vfs", 1, 0x81, 0x200000, 0x200000)  # of the stand-in firmware
OWN = {  # files that nobody may lose: small ones lie inside their folder's metadata, large ones have blocks of their own
    "/data/log.txt": b"".join(b"line %d\n" % number for number in range(900)),
    "/data/settings.json": b'{"rate": 5}',
    "/lib/driver.py": b"VALUE = 7\n" * 300,
    "/note": b"",
}


def put(board: VirtualBoard, files: dict[str, bytes]) -> None:
    """Write `files` at the board's prompt, and make the power go and come."""
    with open_port(board.pty) as wire:
        repl = RawRepl(wire)
        repl.enter()
        for path, content in files.items():
            folder = path.rpartition("/")[0]
            if folder:
                repl.run(f"import uos\ntry:\n uos.mkdir({folder!r})\nexcept OSError:\n pass")
            repl.run(f"f=open({path!r},'wb')")
            for at in range(0, len(content), 512):
                repl.run(f"f.write({content[at : at + 512]!r})")
            repl.run("f.close()")
    board.power_off()


def files_of(board: VirtualBoard) -> dict[str, bytes]:
    """What is in the board's flash, read as a programmer on the bench would."""
    files = blocks.mount(_Image(board.read_flash(0, PARTITION.offset + PARTITION.size)), PARTITION)
    return {path: files.read(path) for path, folder, _ in files.walk() if not folder}


class _Image:
    """A flash image that is only read."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, address: int, size: int) -> bytes:
        return self._content[address : address + size]

    def write(self, address: int, content: bytes) -> None:
        raise AssertionError("a test looks and does not write")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent board is given up sooner than a slow boot would need: nothing but the wait is shorter."""
    monkeypatch.setattr(repl_module, "_SILENT_BOOT", 1.5)


@pytest.fixture(scope="session")
def one_board() -> Iterator[VirtualBoard]:
    board = started(paced=False, latency_ms=0)
    yield board
    board.close()


@pytest.fixture
def board(one_board: VirtualBoard) -> VirtualBoard:
    blank(one_board)
    return one_board
