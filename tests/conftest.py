"""For all tests: what a command writes down goes into a ledger of this run, never into this user's own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def ledger_of_this_run() -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="twinroot-ledger-") as folder:
        named = os.environ.get("TWINROOT_LEDGER")
        os.environ["TWINROOT_LEDGER"] = str(Path(folder) / "ledger.sqlite")
        yield
        del os.environ["TWINROOT_LEDGER"]
        if named is not None:
            os.environ["TWINROOT_LEDGER"] = named
