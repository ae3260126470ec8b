"""What is measured: our transfer and the peers' commands, each as a process, on one virtual board that starts every run blank."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from provisioning.link.port import open_port
from provisioning.virtual import VirtualBoard

BIN = Path(sys.executable).parent
_LIMIT = 300  # seconds for one command
# What pip installs is compiled, so the peers are; ours runs from a checkout and is compiled by the first, uncounted run.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class Board:
    """A paced virtual board behind a pseudo-terminal; `blank()` before each run."""

    def __init__(self, board: VirtualBoard) -> None:
        self.board = board
        self.port = board.pty
        self._prompt(False)
        board.power_off()
        board.snapshot("start")
        self.blank()

    def _prompt(self, power: bool) -> None:
        with open_port(self.port) as wire:
            if power:
                self.board.power_on()
            else:
                wire.write(b"\r")
            wire.until(b">>> ", 10.0)

    def blank(self) -> None:
        self.board.power_off()
        self.board.restore("start")
        self._prompt(True)

    def settle(self) -> None:
        """Until the board's own program, here its prompt, is back after a run."""
        self.board.power_off()
        self._prompt(True)


@contextmanager
def board(latency_ms: float) -> Iterator[Board]:
    with VirtualBoard(paced=True, latency_ms=latency_ms, clock="host") as virtual:
        yield Board(virtual)


def process(*command: str) -> tuple[float, str]:
    """Seconds of a command from start to end, and its output. Raises RuntimeError when it fails."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=False, env=_ENVIRONMENT)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {(done.stderr or done.stdout)[-400:]}")
    return seconds, done.stdout


def ours(on: Board, rate: int) -> dict[str, Any]:
    """One transfer: `process` and `seconds` (the port open), bytes, turns."""
    on.blank()
    seconds, text = process(sys.executable, "-m", "tests.bench.send", on.port, str(rate))
    return {**json.loads(text), "process": seconds}


def mpremote(on: Board, files: list[Path]) -> float:
    on.blank()
    return process(str(BIN / "mpremote"), "connect", on.port, "cp", *map(str, files), ":")[0]


def mpremote_again(on: Board, files: list[Path]) -> float:
    """The same copy once more: mpremote compares hashes and sends nothing."""
    on.settle()
    return process(str(BIN / "mpremote"), "connect", on.port, "cp", *map(str, files), ":")[0]


def ampy(on: Board, files: list[Path]) -> float:
    on.blank()
    return sum(process(str(BIN / "ampy"), "-p", on.port, "put", str(file))[0] for file in files)
