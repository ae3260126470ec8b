"""The drill, with few devices; and with 200 on PostgreSQL, where that is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drill import drill


@pytest.mark.timeout(300)
def test_a_fleet_leaves_a_root(tmp_path: Path) -> None:
    with drill.prepared(tmp_path, drill.SHORT, None, print) as fleet:
        fleet.go()


@pytest.mark.long
@pytest.mark.timeout(5400)
def test_two_hundred_devices_leave_a_root(tmp_path: Path, postgres_url: str | None) -> None:
    with drill.prepared(tmp_path, drill.LONG, postgres_url, print) as fleet:
        fleet.go()
