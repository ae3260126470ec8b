"""The PostgreSQL server that tests of the ledger share: one for each process of pytest, started by the first test that asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
