"""The boards of `pytest tests/hil`: virtual ones by default, real ones with --port (docs/hil.md)."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from provisioning.standin import StandIn

from provisioning.config.load import list_boards, load_board
from provisioning.errors import StationError, TwinrootError
from provisioning.job.selftest import chip_of
from provisioning.link.port_names import resolve
from tests.hil.bench import DEVICE, Bench
from tests.hil.options import OPTIONS, Wanted, wanted
from tests.hil.product import Maker
from tests.hil.relay import Relay


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("twinroot", "boards under test")
    for option in OPTIONS:
        # Where pytest-embedded is installed it has options of these names and meanings already, whose values are read below.
        with contextlib.suppress(ValueError):
            group.addoption(option.name, action="store_true" if option.flag else "store", default=None, help=option.help)


def _wanted(config: pytest.Config) -> Wanted:
    try:
        return wanted({option.key: config.getoption(option.key, None) for option in OPTIONS})
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_configure(config: pytest.Config) -> None:
    asked = _wanted(config)
    workers = config.getoption("numprocesses", None)
    if asked.real and isinstance(workers, int) and workers > 1:
        raise pytest.UsageError(f"{workers} workers cannot share real boards: run with `-n 0`.")


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """`-n auto` on real boards is one process: a port is never shared."""
    return 0 if _wanted(config).real else None


@pytest.fixture(scope="session")
def asked(pytestconfig: pytest.Config) -> Wanted:
    """What the options say."""
    return _wanted(pytestconfig)


class Rack:
    """The boards of this run; virtual ones are started when a test asks for them."""

    def __init__(self, asked: Wanted, undo: ExitStack) -> None:
        self._asked = asked
        self._undo = undo
        self._benches: list[Bench] = []

    def bench(self, number: int) -> Bench:
        """Board `number` from 0 on. Skips the test when there are fewer real ones."""
        if self._asked.real and number >= self._asked.count:
            pytest.skip(f"needs {number + 1} boards: name them with --port 'A|B' --count {number + 1}")
        while len(self._benches) <= number:
            self._benches.append(self._real(len(self._benches)) if self._asked.real else self._virtual())
        return self._benches[number]

    def _virtual(self) -> Bench:
        from provisioning.virtual import VirtualBoard  # Linux only, and real boards are tested on every system

        board = self._undo.enter_context(VirtualBoard(self._asked.board or "virtual-esp32", chip=self._asked.target, paced=False))
        return Bench(board.pty, board)

    def _real(self, number: int) -> Bench:
        bench = Bench(resolve(self._asked.ports[number]))
        held = bench.holds()
        if held is not None and held["device"] != DEVICE and not self._asked.replace:
            pytest.exit(
                f"The board on {bench.port} is {held['device']} ({held['product']}): with --replace the tests remove that from it.", 2
            )
        return bench


@pytest.fixture(scope="session")
def rack(asked: Wanted) -> Iterator[Rack]:
    with ExitStack() as undo:
        made = Rack(asked, undo)
        if asked.real:
            try:
                made.bench(0)  # what is wrong with the board or its port ends the run here, once, and not each test
            except TwinrootError as error:
                pytest.exit(f"{error.message} {error.hint}", 2)
        yield made


@pytest.fixture
def bench(rack: Rack, tmp_path: Path) -> Iterator[Bench]:
    """A board that holds nothing of twinroot's, before and after the test."""
    one = rack.bench(0)
    one.folder = tmp_path
    one.wipe()
    yield one
    one.wipe()


@pytest.fixture
def other_bench(rack: Rack) -> Iterator[Bench]:
    """A second board, in the same state."""
    one = rack.bench(1)
    one.wipe()
    yield one
    one.wipe()


@pytest.fixture
def board_name(asked: Wanted, bench: Bench) -> str:
    """The board type for the product: --board, or the first of boards/ whose chip is that of the board."""
    if not bench.real:
        return asked.board or "virtual-esp32"
    chip = chip_of(bench.machine())
    assert asked.target in (None, chip), f"--target {asked.target}, and the board on {bench.port} is an {chip}"
    if asked.board:
        return asked.board
    for name in list_boards():
        if not name.startswith("virtual") and load_board(name).chip.replace("-", "") == chip:
            return name
    raise AssertionError(f"boards/ has no board with an {chip}: name one with --board")


@pytest.fixture
def make(board_name: str, tmp_path: Path) -> Maker:
    """make() is a product for the board; make(endpoint=…) the same with another endpoint."""
    return Maker(board_name, tmp_path)


@pytest.fixture
def cloud(asked: Wanted, tmp_path: Path) -> Iterator[StandIn]:
    """The cloud stand-in, whose `resolve` leads through an address that the board reaches."""
    if asked.real and not asked.cloud_host:
        pytest.skip("a real board needs --cloud-host ADDRESS, an address of this computer in the board's network")
    if sys.platform == "win32":
        pytest.skip("the cloud stand-in runs on Linux and macOS")
    from provisioning.standin import StandIn

    try:
        with StandIn(tmp_path / "cloud") as stand_in:
            yield stand_in
    except StationError as error:
        if error.code == "cloud-missing":
            pytest.skip(error.message)
        raise


@pytest.fixture
def reachable(asked: Wanted, cloud: StandIn) -> Iterator[dict[str, str]]:
    """`lab.resolve` for the board: every endpoint and the time server, through a relay on --cloud-host."""
    host = asked.cloud_host or "127.0.0.1"
    places = {name: _address(text) for name, text in cloud.resolve.items()}
    time = _address(cloud.ntp)
    try:
        relay = Relay(host, [place for place in places.values() if place != time], time)
    except OSError as error:
        pytest.skip(f"--cloud-host {host} is not an address of this computer: {error}")
    with relay:
        yield {name: f"{host}:{relay.ports[place]}" for name, place in places.items()}


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)
