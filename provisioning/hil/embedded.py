"""The service `twinroot` of pytest-embedded: `pytest --embedded-services twinroot` gives its fixture `dut` a board of this plugin.

pytest-embedded looks its services up in a table (utils.SERVICE_LIB_NAMES, read by plugin._services) and chooses classes by branches
(dut_factory._fixture_classes_and_options_fn) that nothing outside can add to. So the service is a row of that table, which leads here, and
the `dut` is the plain one of theirs: `expect` reads what programs on the board print, `write` types on its port, and `board` is the Board.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from provisioning.hil.reporting import use

if TYPE_CHECKING:
    from provisioning.hil.board import Board
    from provisioning.hil.pool import Pool

SERVICE = "twinroot"
_LOOK = 0.05  # seconds of the board's line between two looks of pexpect at its file


def add_service(config: pytest.Config) -> None:
    """Once pytest-embedded is loaded; the fixture below, registered after theirs, stands before it."""
    try:
        from pytest_embedded.utils import SERVICE_LIB_NAMES
    except ImportError:
        return  # a version without that table: its other services work as ever
    SERVICE_LIB_NAMES.setdefault(SERVICE, __name__)
    config.pluginmanager.register(__import__(__name__, fromlist=["dut"]), "twinroot-embedded")


class Feed:
    """Programs' output of `board` on its way to the file that pexpect reads, in the thread that expects."""

    def __init__(self, board: Board, dut: Any) -> None:
        self._board = board
        self._dut = dut
        self._fed = 0
        self._read = dut.pexpect_proc.read_nonblocking
        dut.pexpect_proc.read_nonblocking = self.read_nonblocking

    def read_nonblocking(self, size: int = 1, timeout: float = -1) -> Any:
        session = self._board._session
        session.read(self._board.hardware.port, _LOOK)
        self.flush()
        return self._read(size, timeout)

    def flush(self) -> None:
        output = self._board._session.output
        if more := bytes(output[self._fed :]):
            self._dut._q.put(more)
        self._fed = len(output)

    def type(self, text: str | bytes) -> None:
        """What is typed on the port; a program, or the prompt, reads it."""
        wire = self._board._session.open(self._board.hardware.port)
        wire.write(text.encode() if isinstance(text, str) else text)


def _is_ours(services: str | None) -> bool:
    return SERVICE in [part.strip() for part in (services or "").split(",")]


@pytest.fixture
def dut(request: pytest.FixtureRequest, dut: Any, embedded_services: Any) -> Iterator[Any]:
    """The `dut` of pytest-embedded; with the service twinroot it has a board, `dut.board`, in a known state. Several with --count, where
    each may have services of its own."""
    several = isinstance(dut, list | tuple)
    duts = dut if several else [dut]
    services = embedded_services if isinstance(embedded_services, list | tuple) else [embedded_services] * len(duts)
    ours = [one for one, named in zip(duts, services, strict=True) if _is_ours(named)]
    if not ours:
        yield dut
        return
    pool: Pool = request.getfixturevalue("hil_pool")
    boards = pool.get_many(len(ours))
    feeds = []
    for one, board in zip(ours, boards, strict=True):
        use(request.node, board)
        feed = Feed(board, one)
        one.board, one.write = board, feed.type
        feeds.append(feed)
    yield dut
    for feed in feeds:
        feed.flush()
    for board in boards:
        pool.done(board)
