"""The pytest plugin of this package: options, markers, what is skipped and why, and what a report says of the boards.

Registered under the entry point pytest11, so it is imported in every pytest run of its environment: nothing heavy above. Fixtures:
fixtures.py; documentation: docs/hil.md.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from provisioning.hil.options import OPTIONS, Wanted, wanted
from provisioning.hil.reporting import USED

if TYPE_CHECKING:
    from provisioning.hil.engines.engine import Unsupported

pytest_plugins = ["provisioning.hil.fixtures", "provisioning.virtual.pytest_plugin"]

MARKERS = {
    "provisioned(product=None, device=None)": "the board holds the product (default: that of the fixture `product`) as `update` leaves it",
    "needs_wifi(reason='')": "the board reaches this computer over a network; skipped where it does not",
    "destructive(reason='')": "changes what was on the board before the tests; skipped on a real board unless --replace is given",
    "real_only(reason='')": "skipped on boards that are not hardware",
    "virtual_only(reason='')": "skipped on boards that are hardware",
}
_EMBEDDED = "pytest_embedded"  # another plugin, some of whose options have the names and meanings of ours
# Source: pytest_embedded/plugin.py, pytest_addoption; versions differ in which they have.
_EMBEDDED_OPTIONS = frozenset({"--count", "--port", "--port-mac", "--port-serial-number", "--target", "--baud"})
WANTED = pytest.StashKey[Wanted]()


def _add(parser: pytest.Parser, names: frozenset[str] | None = None) -> None:
    group = parser.getgroup("twinroot", "boards under test")
    for option in OPTIONS:
        if names is None or option.name in names:
            with contextlib.suppress(ValueError):  # somebody else's already, with the same meaning: its value is read
                group.addoption(option.name, action="store_true" if option.flag else "store", default=None, help=option.help)


def pytest_addoption(parser: pytest.Parser) -> None:
    # Whoever comes second with an option is refused, and pytest-embedded does not expect that: it goes first with those that it has.
    mine = frozenset(option.name for option in OPTIONS)
    _add(parser, mine - _EMBEDDED_OPTIONS if importlib.util.find_spec(_EMBEDDED) else mine)
    parser.addini("twinroot_product", "product file of the fixture `product`, relative to this file", default="")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(parser: pytest.Parser) -> None:
    """All plugins of the environment have come, and the command line is not parsed yet."""
    _add(parser)


def pytest_configure(config: pytest.Config) -> None:
    for name, what in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {what}")
    if config.pluginmanager.hasplugin(_EMBEDDED):
        from provisioning.hil.embedded import add_service

        add_service(config)
    asked = _wanted(config)
    workers = config.getoption("numprocesses", None)
    if asked.ports and isinstance(workers, int) and workers > len(asked.ports):
        raise pytest.UsageError(
            f"{workers} workers for {len(asked.ports)} boards: a port is never shared, give -n {len(asked.ports)} or less."
        )
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        asked = asked.share(int(worker["workerid"].removeprefix("gw")), int(worker["workercount"]))
    config.stash[WANTED] = asked
    if file := config.getoption("board_report", None):
        from provisioning import output_file
        from provisioning.errors import TwinrootError
        from provisioning.hil.page import Page

        try:
            output_file.check(Path(file), output_file.BOARD_REPORT)
        except TwinrootError as error:
            raise pytest.UsageError(f"--board-report: {error.message} {error.hint}") from None
        config.pluginmanager.register(Page(Path(file)), "twinroot-page")


def _wanted(config: pytest.Config) -> Wanted:
    from provisioning.errors import TwinrootError
    from provisioning.hil.engines import named

    given: dict[str, Any] = {option.key: config.getoption(option.key, None) for option in OPTIONS}
    given["product"] = given["product"] or _from_ini(config)
    try:
        if given["device_map"]:
            from provisioning.hil.device_map import ports

            given["device_map_ports"] = ports(Path(given["device_map"]), given["target"])
        asked = wanted(given)
        named(asked)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    except TwinrootError as error:
        raise pytest.UsageError(f"{error.message} {error.hint}") from None
    return asked


def _from_ini(config: pytest.Config) -> str | None:
    text = str(config.getini("twinroot_product"))
    if not text or config.inipath is None:
        return text or None
    return str(config.inipath.parent / text)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """`-n auto`: as many workers as boards are named; with one board, no worker at all."""
    count = len(_wanted(config).ports)
    return None if not count else count if count > 1 else 0


def pytest_report_header(config: pytest.Config) -> str | None:
    """Nothing for whoever has this package installed and tests something else: only what was asked for."""
    asked = config.stash.get(WANTED, None)
    if asked is None or not (asked.ports or asked.engine):
        return None
    from provisioning.hil.engines import named

    return f"boards: {named(asked)}{f' on {chr(44).join(asked.ports)}' if asked.ports else ''}"


# --- skips ----------------------------------------------------------------------------------------------------------


def _because(mark: pytest.Mark, default: str) -> str:
    reason = mark.kwargs.get("reason") or (mark.args[0] if mark.args else "")
    return f"{mark.name}: {reason or default}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """What can be known without a board; `needs_wifi` of an emulated chip is looked at by the fixture."""
    marks = {name: item.get_closest_marker(name) for name in ("real_only", "virtual_only", "destructive", "needs_wifi")}
    if not any(marks.values()):
        return
    from provisioning.hil.engines import is_real, named

    asked = item.config.stash[WANTED]
    real, engine = is_real(asked), named(asked)
    if (mark := marks["real_only"]) and not real:
        pytest.skip(_because(mark, f"needs hardware, and the engine is {engine}"))
    if (mark := marks["virtual_only"]) and real:
        pytest.skip(_because(mark, f"needs a board that is not hardware, and the engine is {engine}"))
    if (mark := marks["destructive"]) and real and not asked.replace:
        pytest.skip(_because(mark, "changes what was on a real board before") + " (run it with --replace)")
    if (mark := marks["needs_wifi"]) and real and not asked.cloud_host:
        pytest.skip(_because(mark, "a real board needs --cloud-host ADDRESS, an address of this computer in the board's network"))


@contextlib.contextmanager
def _unsupported_is_a_skip() -> Generator[None, None, None]:
    from provisioning.hil.engines.engine import Unsupported

    unsupported: type[Unsupported] = Unsupported
    try:
        yield
    except unsupported as error:
        pytest.skip(error.message)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    if USED not in pyfuncitem.stash:
        return (yield)
    with _unsupported_is_a_skip():
        return (yield)


# --- reports --------------------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    if USED in item.stash:
        from provisioning.hil.reporting import add_sections

        add_sections(item, call)
    return (yield)


def pytest_sessionstart(session: pytest.Session) -> None:
    """A ledger of this run, if none is named: what tests do to boards is not written into the user's own."""
    if "TWINROOT_LEDGER" not in os.environ:
        session.config.add_cleanup(_ledger_of_the_run())


def _ledger_of_the_run() -> Any:
    import tempfile

    folder = tempfile.TemporaryDirectory(prefix="twinroot-ledger-")
    os.environ["TWINROOT_LEDGER"] = str(Path(folder.name) / "ledger.sqlite")

    def undo() -> None:
        os.environ.pop("TWINROOT_LEDGER", None)
        folder.cleanup()

    return undo
