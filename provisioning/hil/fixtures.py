"""The fixtures of the plugin. Each test gets boards in a known state; what a test leaves behind is undone before the next one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from provisioning.hil.options import Wanted
from provisioning.hil.products import ProductMaker, beside
from provisioning.hil.reporting import Measure, add_identity, add_measure, use

if TYPE_CHECKING:
    from provisioning.config.device import Device
    from provisioning.config.product import Product
    from provisioning.hil.board import Board
    from provisioning.hil.pool import Pool
    from provisioning.standin import StandIn


@pytest.fixture(scope="session")
def hil_options(pytestconfig: pytest.Config) -> Wanted:
    """What the options say of the boards."""
    from provisioning.hil.plugin import WANTED

    return pytestconfig.stash[WANTED]


@pytest.fixture(scope="session")
def hil_pool(hil_options: Wanted) -> Iterator[Pool]:
    """The boards of this process; given back at its end."""
    from provisioning.hil.pool import Pool

    pool = Pool(hil_options)
    yield pool
    pool.close()
    if pool.coverage is not None:
        pool.coverage.save(Path.cwd())


def _needs_wifi(request: pytest.FixtureRequest, board: Board) -> None:
    mark = request.node.get_closest_marker("needs_wifi")
    if mark is not None and board.hardware.wifi() is False:
        reason = mark.kwargs.get("reason") or (mark.args[0] if mark.args else "")
        pytest.skip(f"needs_wifi: {reason or f'this board of the engine {board.engine} has no network'}")


def _identify(request: pytest.FixtureRequest, board: Board) -> None:
    """Who the board is, for a report that somebody has asked for: to ask it costs a turn of the line."""
    if request.config.getoption("board_report", None) or request.config.getoption("xmlpath", None):
        add_identity(request.node, dict(board.identity))


def _provisioned(request: pytest.FixtureRequest, pool: Pool, count: int) -> list[tuple[Product, Device]] | None:
    """What each board is to hold, by the marker `provisioned`; None without it."""
    mark = request.node.get_closest_marker("provisioned")
    if mark is None:
        return None
    if pool.holder is not None:
        pytest.skip(f"provisioned: {pool.holder}")
    if (named := mark.kwargs.get("product")) is not None:
        from provisioning.config.load import load_product

        made = load_product((request.path.parent / named).resolve())
        maker = None
    else:
        made, maker = request.getfixturevalue("product"), request.getfixturevalue("make_product")
    from provisioning.config.unit import choose

    if made.devices is not None:
        rows = choose(made, mark.kwargs.get("device"))
    elif maker is not None:
        rows = [maker.device, *(maker.identity(f"hil-{number + 1:04d}", made) for number in range(1, count))]
    else:
        from provisioning.config.device import single_device

        rows = [single_device(mark.kwargs.get("device", "hil-0001"))]
    if len(rows) < count:
        pytest.skip(f"provisioned: {made.source} has {len(rows)} devices, and the test wants {count} boards")
    return [(made, row) for row in rows[:count]]


@pytest.fixture
def board(request: pytest.FixtureRequest, hil_pool: Pool) -> Iterator[Board]:
    """A board in a known state: at its prompt, with a new heap, without files of earlier tests; provisioned where the test is marked so."""
    provisioned = _provisioned(request, hil_pool, 1)
    one = hil_pool.get(0, provisioned[0] if provisioned else None)
    if provisioned is not None and hil_pool.holder is not None:
        pytest.skip(f"provisioned: {hil_pool.holder}")
    use(request.node, one)
    _needs_wifi(request, one)
    _identify(request, one)
    yield one
    hil_pool.done(one)


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Measure:
    """`measure("update, seconds", 1.4)`: a figure for the report; those of one name are one plot of `--board-report`."""
    return lambda name, value: add_measure(request.node, name, value)


@pytest.fixture
def boards(request: pytest.FixtureRequest, hil_pool: Pool) -> Iterator[Callable[[int], list[Board]]]:
    """`boards(n)`: n boards, each in the state that `board` has. Skips where fewer are there."""
    given: list[Board] = []

    def get(count: int) -> list[Board]:
        made = hil_pool.get_many(count, _provisioned(request, hil_pool, count))
        for one in made:
            use(request.node, one)
            _identify(request, one)
        given.extend(made)
        return made

    yield get
    for one in given:
        hil_pool.done(one)


# --- products -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _board_type(hil_options: Wanted, hil_pool: Pool) -> str:
    """The board type for products of tests: --board, that of the engine's board, or the first whose chip is the one on the port."""
    if hil_options.board:
        return hil_options.board
    from provisioning.config.load import list_boards, load_board

    board = hil_pool.get(0)
    if (known := board.hardware.facts().get("board")) is not None:
        return str(known)
    chip = board.identity["chip"]
    for name in list_boards():
        if not name.startswith("virtual") and load_board(name).chip.replace("-", "") == chip:
            return name
    raise pytest.UsageError(f"boards/ has no board with an {chip}: name one with --board")


@pytest.fixture(scope="session")
def _example(_board_type: str, tmp_path_factory: pytest.TempPathFactory) -> ProductMaker:
    return ProductMaker(_board_type, tmp_path_factory.mktemp("product"))


@pytest.fixture
def make_product(_board_type: str, tmp_path: Path) -> ProductMaker:
    """`make_product(prefix=…, **keys)`: an example product for the board, with keys of the test's own; `.device` is its device."""
    return ProductMaker(_board_type, tmp_path / "made")


def _file(request: pytest.FixtureRequest, options: Wanted) -> Path | None:
    if options.product:
        return Path(options.product)
    return beside(request.path.parent, request.config.rootpath)


@pytest.fixture
def product(request: pytest.FixtureRequest, hil_options: Wanted) -> Product:
    """The product of the tests: --product, the ini key twinroot_product, product.yaml beside or above the test, else an example."""
    from provisioning.config.load import load_product

    file = _file(request, hil_options)
    if file is not None:
        return load_product(file)
    maker: ProductMaker = request.getfixturevalue("_example")
    return maker()


@pytest.fixture
def product_device(request: pytest.FixtureRequest, hil_options: Wanted, product: Product) -> Device:
    """The device of that product which the board is to be: --product-device, else the first of its list."""
    from provisioning.config.unit import choose

    if _file(request, hil_options) is None:
        maker: ProductMaker = request.getfixturevalue("_example")
        return maker.device
    return choose(product, hil_options.device)[0]


# --- the cloud ------------------------------------------------------------------------------------------------------


@pytest.fixture
def cloud(hil_options: Wanted, tmp_path: Path) -> Iterator[StandIn]:
    """The stand-in for AWS IoT, on this computer's loopback."""
    import sys

    from provisioning.hil.engines import is_real

    if is_real(hil_options) and not hil_options.cloud_host:
        pytest.skip("a real board needs --cloud-host ADDRESS, an address of this computer in the board's network")
    if sys.platform == "win32":
        pytest.skip("the cloud stand-in runs on Linux and macOS")
    from provisioning.standin import StandIn

    with StandIn(tmp_path / "cloud") as stand_in:
        yield stand_in


@pytest.fixture
def reachable(hil_options: Wanted, hil_pool: Pool, cloud: StandIn) -> Iterator[dict[str, str]]:
    """`lab.resolve` for the board: every endpoint and the time server, through an address of this computer that the board reaches."""
    if hil_pool.get(0).engine == "qemu":
        # QEMU's user network: this computer's loopback is 10.0.2.2 there.
        yield {name: target.replace("127.0.0.1", "10.0.2.2") for name, target in cloud.resolve.items()}
        return
    from provisioning.hil.relay import Relay

    host = hil_options.cloud_host or "127.0.0.1"
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


@pytest.fixture
def cloud_product(cloud: StandIn, reachable: dict[str, str], make_product: ProductMaker) -> Product:
    """A product whose routes are the stand-in's, and an identity that it knows for `make_product.device`."""
    import shutil

    from provisioning.hil.products import cloud_keys

    home = make_product.folder / "devices"
    home.mkdir(parents=True, exist_ok=True)
    for source, kind in zip(cloud.issue(make_product.device.id), ("crt", "key"), strict=True):
        shutil.copyfile(source, home / f"{make_product.device.id}.{kind}.pem")
    keys: dict[str, Any] = cloud_keys(cloud, reachable)
    return make_product(**keys)
