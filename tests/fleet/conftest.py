"""A fleet's store on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.fleet.store import FleetStore
from provisioning.ledger.store import Ledger
from tests.support import postgres


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Server]:
    folder = postgres.binaries()
    if folder is None:
        pytest.skip("no PostgreSQL server is installed here")
    made = postgres.Server(folder)
    yield made
    made.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty ledger's location."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger.sqlite")
    server = request.getfixturevalue("server")
    return str(server.url(server.database()))


@pytest.fixture
def store(url: str) -> Iterator[FleetStore]:
    with Ledger.open(url) as ledger:
        yield FleetStore(ledger)
