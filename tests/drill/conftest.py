"""The long form has its ledger on a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import postgres


@pytest.fixture
def postgres_url() -> Iterator[str | None]:
    """An empty database, its administrator's URL; None where no server is installed."""
    folder = postgres.binaries()
    if folder is None:
        yield None
        return
    server = postgres.Server(folder)
    yield server.url(server.database())
    server.remove()
