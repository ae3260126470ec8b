"""A paced virtual board, the states that runs start from, and what a run costs: seconds, bytes, turns, flash operations."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from provisioning.virtual import VirtualBoard

LIMIT = 300  # seconds for one command
HOME_RATE = 115200
_OTHERS = "for i in range(%d):\n    with open('/other%%02d.dat' %% i, 'w') as f: f.write('x' * 100)\n"
# What pip installs is compiled, so the peers are; ours runs from a checkout and is compiled by the first, uncounted run.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Cost:
    """Of one run. `seconds` is the whole process, or what the host waits for the board; the rest is counted by the board."""

    seconds: float
    reads: int
    erases: int
    programs: int
    flash_seconds: float
    turns: int
    sent: int  # bytes to the board

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


class Board:
    """A board whose flash is brought to a named state before each run; "blank" holds MicroPython and `others` files of the user's."""

    def __init__(self, board: VirtualBoard, others: int = 0) -> None:
        self.board = board
        self.port = board.pty
        self.others = others
        self._states: set[str] = set()
        with open_port(self.port) as wire:
            repl = RawRepl(wire)
            repl.enter()
            repl.run(_OTHERS % others)
        self.keep("blank")

    def keep(self, state: str) -> None:
        """What is in the flash now, under this name."""
        self.board.power_off()
        self.board.snapshot(state)
        self._states.add(state)

    def start(self, state: str, make: Callable[[Board], object] | None = None) -> None:
        """Powers the board on in `state` and waits for its prompt. A state that is not there yet is made from "blank" by `make`."""
        if state not in self._states and make is not None:
            self.start("blank")
            make(self)
            self.keep(state)
        self.board.power_off()
        self.board.restore(state)
        self.settle()

    def settle(self) -> None:
        """Power off and on; the board's own program, here its prompt, is there when this returns."""
        self.board.power_off()
        with open_port(self.port) as wire:
            wire.discard()
            self.board.power_on()
            wire.until(b">>> ", 10.0)

    def raise_rate(self, rate: int) -> None:
        """For the peers, which do not raise the rate themselves: the board's UART gets it before the peer's time begins."""
        if rate == HOME_RATE:
            return
        with open_port(self.port) as wire:
            RawRepl(wire).enter()
            wire.write(b"import machine\nmachine.UART(0, baudrate=%d)\n\x04" % rate)
            deadline = time.monotonic() + 10.0
            while self.board.call("rate") != rate:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the board did not take {rate} baud")
                time.sleep(0.01)

    def measured(self, run: Callable[[], object]) -> Cost:
        """What `run` costs on the board as it is."""
        self.board.clear_counters()
        started = time.perf_counter()
        run()
        seconds = time.perf_counter() - started
        found = self.board.counters()
        flash = (found["flash_reads"], found["flash_erases"], found["flash_programs"], found["flash_seconds"])
        return Cost(seconds, *flash, found["turns"], found["to_board"])


@contextmanager
def board(latency_ms: float, flash_timing: str, *, paced: bool = True, others: int = 0) -> Iterator[Board]:
    """A board of its own, with this computer's time, so that TLS sees valid certificates."""
    with VirtualBoard(paced=paced, latency_ms=latency_ms, clock="host", flash_timing=flash_timing) as virtual:
        yield Board(virtual, others)


def process(*command: str) -> str:
    """What a command prints. Raises RuntimeError when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False, env=_ENVIRONMENT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {(done.stderr or done.stdout)[-400:]}")
    return done.stdout
