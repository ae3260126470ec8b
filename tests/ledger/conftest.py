"""The PostgreSQL server that tests of the ledger share: one for each process of pytest, started by the first test that asks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # makes `tests.support` importable however pytest is started

from tests.support import postgres


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Server]:
    folder = postgres.binaries()
    if folder is None:
        pytest.skip("no PostgreSQL server is installed here")
    made = postgres.Server(folder)
    yield made
    made.remove()


@pytest.fixture
def url(server: postgres.Server) -> str:
    """An empty database, its administrator's URL."""
    return server.url(server.database())
