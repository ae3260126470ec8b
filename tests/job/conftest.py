"""A product for the virtual board, and one virtual board per worker whose flash every test gets as it was at the start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from provisioning.config.device import Device, single_device
from provisioning.config.load import load_product
from provisioning.link import repl as repl_module
from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from provisioning.virtual import VirtualBoard
from tests.support.product_files import PRODUCT, write_identity, write_product


class Bench:
    """A board, a product for it, and what tests do to both."""

    def __init__(self, board: VirtualBoard, folder: Path) -> None:
        self.board = board
        self.folder = folder
        self.device: Device = single_device("ws-0001")
        write_identity(folder, "ws-0001")
        self.text = PRODUCT.replace("esp32-generic", "virtual-esp32")

    @property
    def port(self) -> str:
        return self.board.pty

    def product(self, more: str = "", **replaced: str) -> Any:
        text = self.text
        for old, new in replaced.items():
            text = text.replace(old, new)
        return load_product(write_product(self.folder, text, more))

    def flash_writes(self) -> int:
        counters = self.board.counters()
        return int(counters["flash_programs"] + counters["flash_erases"])

    def run(self, code: str) -> str:
        """Run `code` at the board's prompt; what it printed. The board's program is started again."""
        with open_port(self.port) as wire:
            repl = RawRepl(wire)
            repl.enter()
            text = repl.run(code).decode()
            repl.leave()
        return text.replace("\r\n", "\n").strip()

    def restart(self) -> None:
        """Power off and on; returns when the board shows its prompt."""
        with open_port(self.port) as wire:
            self.board.power_off()
            wire.discard()
            self.board.power_on()
            wire.until(b">>> ", 30.0)


def put(bench: Bench, name: str, text: str) -> None:
    """A file on the board, written at its prompt."""
    bench.run(f"f=open({name!r},'w');f.write({text!r});f.close()")


@contextmanager
def small_bench(folder: Path) -> Iterator[Bench]:
    """A bench whose board has the 64 KB of free heap of an ESP32: the objects of a 64-bit interpreter are twice as large."""
    board = started(paced=False, latency_ms=0, heap="150K")
    try:
        bench = Bench(board, folder)
        bench.restart()
        assert int(bench.run("import gc\ngc.collect()\nprint(gc.mem_free())")) < 128 * 1024
        yield bench
    finally:
        board.close()


def blank(board: VirtualBoard) -> None:
    """The board as it was at the start: MicroPython, an empty file system, no faults."""
    board.heal()
    board.power_off()
    board.restore("start")
    with open_port(board.pty) as wire:
        board.power_on()
        wire.until(b">>> ", 30.0)


def started(**options: Any) -> VirtualBoard:
    """A running board with a snapshot of its flash after the first boot, which makes the file system."""
    board = VirtualBoard(clock="host", **options).start()
    with open_port(board.pty) as wire:
        RawRepl(wire).enter()
    board.power_off()
    board.snapshot("start")
    board.power_on()
    return board


@pytest.fixture(scope="session")
def one_board() -> Iterator[VirtualBoard]:
    board = started(paced=False, latency_ms=0)
    yield board
    board.close()


@pytest.fixture
def bench(one_board: VirtualBoard, tmp_path: Path) -> Bench:
    blank(one_board)
    return Bench(one_board, tmp_path)


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent board is given up sooner: nothing but the wait is shorter."""
    monkeypatch.setattr(repl_module, "_SILENT_BOOT", 1.5)
