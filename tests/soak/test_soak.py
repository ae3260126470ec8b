"""The short form of `make soak`: the same run, two slots and six boards."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.virtual.faults import FAULTS as ALL
from tests.soak.faults import FAULTS
from tests.soak.run import Size, Soak
from tests.support import postgres

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")


@pytest.fixture
def server() -> Iterator[postgres.Server]:
    folder = postgres.binaries()
    if folder is None:
        pytest.skip("no PostgreSQL server is installed here")
    made = postgres.Server(folder)
    yield made
    made.remove()


@pytest.mark.timeout(300)  # mostly of processes that start: 20 of them
def test_a_short_soak(tmp_path: Path, server: postgres.Server) -> None:
    figures = Soak(Size(slots=2, boards=6, every=3, kills=1, restarts=1), tmp_path / "p", server, print).run()
    assert figures["passed"] == 6 and figures["passed with a fault"] == 2, figures


def test_every_fault_of_the_virtual_board_is_in_it() -> None:
    assert set(FAULTS) == set(ALL)
