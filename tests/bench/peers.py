"""The peers' commands, each as a process: first copy and the same copy once more. They copy, and do no more."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.board import HOME_RATE, Board, Cost, process

BIN = Path(sys.executable).parent
Command = Callable[[str, int, list[str]], list[list[str]]]  # port, rate, files: the commands that copy them


@dataclass(frozen=True)
class Peer:
    """`rates`: those it can be told; the board is brought to the rate before its time begins. `skips`: it compares before it copies."""

    name: str
    commands: Command
    rates: tuple[int, ...] = (HOME_RATE,)
    folders: bool = True
    skips: bool = True

    def copy(self, on: Board, files: list[str], rate: int) -> Cost:
        """To a blank board."""
        on.start("blank")
        return self._run(on, files, rate)

    def again(self, on: Board, files: list[str], rate: int) -> Cost:
        """The same copy once more, to the board as the last one left it."""
        on.settle()
        return self._run(on, files, rate)

    def _run(self, on: Board, files: list[str], rate: int) -> Cost:
        on.raise_rate(rate)
        costs = [on.measured(lambda command=command: process(*command)) for command in self.commands(on.port, rate, files)]
        return sum(costs[1:], costs[0])


PEERS = (
    Peer("mpremote cp", lambda port, rate, files: [[str(BIN / "mpremote"), "connect", port, "cp", "-r", *files, ":"]]),
    # It compresses and compares hashes by itself; it knows --baud, but does not change the rate of the board.
    Peer(
        "mpytool cp",
        lambda port, rate, files: [[str(BIN / "mpytool"), "-p", port, "-b", str(rate), "cp", *files, ":/"]],
        rates=(HOME_RATE, 921600, 2000000),
    ),
    Peer(
        "ampy put",
        lambda port, rate, files: [[str(BIN / "ampy"), "-p", port, "put", file] for file in files],
        folders=False,
        skips=False,
    ),
)
