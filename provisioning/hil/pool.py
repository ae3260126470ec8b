"""The boards of one pytest process: opened when a test asks for them, in a known state for each test, given back at its end."""

from __future__ import annotations

import contextlib
import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from provisioning.errors import TwinrootError
from provisioning.hil import files
from provisioning.hil.board import Board
from provisioning.hil.engines import is_real, open_engine
from provisioning.hil.engines.engine import Engine
from provisioning.hil.options import Wanted
from provisioning.link import tap

if TYPE_CHECKING:
    from provisioning.config.device import Device
    from provisioning.config.product import Product
    from provisioning.hil.coverage import BoardCoverage

_GIVEN_UP = 2  # times that a board may fail to come into a known state, one after the other
Provisioned = tuple["Product", "Device"]


def _coverage(wanted: Wanted) -> BoardCoverage | None:
    if not wanted.board_cov:
        return None
    from provisioning.hil.coverage import BoardCoverage

    return BoardCoverage(map(Path, wanted.board_cov))


class Pool:
    """`boards` are those that are open, by number."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.real = is_real(wanted)
        self.boards: dict[int, Board] = {}
        self.holder: str | None = None  # whose product a real board holds that no test may replace
        self.coverage = _coverage(wanted)
        self._undo = ExitStack()
        self._engine: Engine | None = None
        self._failures: dict[int, list[str]] = {}
        self._provisioned: dict[int, set[str]] = {}

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            self._engine = open_engine(self.wanted)
            self._undo.callback(self._engine.close)
        return self._engine

    def limit(self) -> int | None:
        """How many boards there are; None for as many as are asked for."""
        known = [count for count in (self.wanted.count, self.engine.count) if count is not None]
        return min(known) if known else None

    def get(self, number: int, provisioned: Provisioned | None = None) -> Board:
        """Board `number` in its known state, provisioned if a product and a device are given. Skips where there are fewer boards."""
        limit = self.limit()
        if limit is not None and number >= limit:
            pytest.skip(f"needs {number + 1} boards, and {limit} may be used: name them with --port 'A|B' or raise --count")
        failed = self._failures.setdefault(number, [])
        if len(failed) >= _GIVEN_UP:
            pytest.fail(f"The board was given up after {_GIVEN_UP} tests that could not get it: {failed[-1]}", pytrace=False)
        try:
            board = self._prepared(number, provisioned)
        except TwinrootError as error:
            if self.real and number not in self.boards:  # what is wrong with the port ends the run here, once, and not in each test
                pytest.exit(f"{error.message} {error.hint}", 2)
            failed.append(f"{error.message} {error.hint}")
            raise
        failed.clear()
        return board

    def get_many(self, count: int, provisioned: list[Provisioned] | None = None) -> list[Board]:
        """Boards 0 to `count` - 1, brought into their state side by side."""
        limit = self.limit()
        if limit is not None and count > limit:
            pytest.skip(f"needs {count} boards, and {limit} may be used: name them with --port 'A|B' or raise --count")
        for number in range(count):
            self._open(number)  # what starts processes and threads is not run from several threads
        with ThreadPoolExecutor(max(1, count)) as workers:
            return list(workers.map(self.get, range(count), provisioned or [None] * count))

    def _open(self, number: int) -> Board:
        if number not in self.boards:
            board = Board(self.engine.open(number), self.wanted.baud)
            self._undo.enter_context(tap.listening(board.log))
            if self.real:
                self._look_at(board)
            if self.coverage is not None:
                self.coverage.watch(board)
            self.boards[number] = board
        return self.boards[number]

    def _look_at(self, board: Board) -> None:
        """A real board that is somebody's device stays that, unless --replace was given."""
        held = board.holder()
        if held is not None and not self.wanted.replace:
            who = f"the board on {board.hardware.port} is {held.device} ({held.product})"
            self.holder = f"{who}: with --replace the tests remove that from it"
        elif held is not None:
            files.remove(board, files.OURS)
        chip = board.identity["chip"]
        if self.wanted.target not in (None, chip):
            pytest.exit(f"--target {self.wanted.target}, and the board on {board.hardware.port} is an {chip}", 2)

    def _prepared(self, number: int, provisioned: Provisioned | None) -> Board:
        board = self._open(number)
        board.log.begin()
        if not board.hardware.instant:
            board.prepare(leave=(*files.OURS, *(f"/{name}" for name in provisioned[0].app)) if provisioned else ())
            if provisioned:
                board.provision(*provisioned)
            return board
        try:
            self._from_image(board, number, provisioned)
        except TwinrootError:
            # A test ended the board's process, or worse: the next one gets a new board.
            with contextlib.suppress(TwinrootError, OSError):
                board.close()
            del self.boards[number]
            self._provisioned.pop(number, None)
            board = self._open(number)
            self._from_image(board, number, provisioned)
        return board

    def _from_image(self, board: Board, number: int, provisioned: Provisioned | None) -> None:
        board.prepare()
        if provisioned is None:
            return
        product, device = provisioned
        version = hashlib.sha256(product.source.read_bytes()).hexdigest()[:12]
        name = f"provisioned {product.source} {version} {device.id}"
        done = self._provisioned.setdefault(number, set())
        if name not in done:
            board.provision(product, device)
            board.release()
            board.hardware.snapshot(name)
            done.add(name)
        board.hardware.restore(name)

    def done(self, board: Board) -> None:
        """A test is done with `board`."""
        if self.coverage is not None:
            self.coverage.collect(board)
        board.release()

    def close(self) -> None:
        """Every board as it was found, and given back; the first that cannot be does not keep the others."""
        with self._undo:
            for board in self.boards.values():
                with contextlib.suppress(TwinrootError):
                    board.leave()
                with contextlib.suppress(TwinrootError, OSError):
                    board.close()
            self.boards.clear()
