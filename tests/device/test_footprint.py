"""What the package costs does not grow unnoticed; see tests/footprint.py for the numbers."""

from __future__ import annotations

from pathlib import Path

from tests import footprint


def test_within_limits(tmp_path: Path) -> None:
    numbers = footprint.measure(tmp_path, brief=True)
    print(footprint.table(numbers))
    assert set(numbers) == set(footprint.LIMITS)
    assert not footprint.exceeded(numbers)
    assert footprint.exceeded({**numbers, "mpy_core": 9000}), "growth is seen"
