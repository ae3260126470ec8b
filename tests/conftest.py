"""For all tests: what a command writes down goes into a ledger of this run, never into this user's own; workers get the longest files
first."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For `-n` without a `--dist` of its own."""
    from tests.support.schedule import LongestFirst

    return LongestFirst(config, log) if config.getvalue("dist") == "load" else None


@pytest.fixture(scope="session", autouse=True)
def ledger_of_this_run() -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="twinroot-ledger-") as folder:
        named = os.environ.get("TWINROOT_LEDGER")
        os.environ["TWINROOT_LEDGER"] = str(Path(folder) / "ledger.sqlite")
        yield
        del os.environ["TWINROOT_LEDGER"]
        if named is not None:
            os.environ["TWINROOT_LEDGER"] = named
