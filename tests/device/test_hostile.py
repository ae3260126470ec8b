"""The hostile-server table (scenarios.py) on the virtual board: every row, both routes, three clocks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.device import matrix
from tests.device.jail import ROOT
from tests.device.scenarios import SCENARIOS
from tests.device.virtual import Virtual


@pytest.mark.parametrize("place", matrix.PLACES)
@pytest.mark.parametrize(("clock", "kind"), [("right", "ec"), ("right", "rsa"), ("2000", "ec"), ("2040", "ec"), ("2040", "rsa")])
def test_table(tmp_path: Path, make_virtual_board: Callable[..., Any], clock: str, kind: str, place: str) -> None:
    board = make_virtual_board(paced=False, clock="host")
    cases = matrix.run(Virtual(board), tmp_path, clock, place, kind)
    print(matrix.show(cases))
    wrong = [f"{c.scenario.name}: expected {c.expected}, got {c.got}. {c.detail}" for c in cases if not c.ok]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("clock", "kind"), [("right", "rsa"), ("2040", "ec")])
def test_table_on_a_build_without_texts(tmp_path: Path, make_virtual_board: Callable[..., Any], clock: str, kind: str) -> None:
    """The same classes and route changes where the TLS library only gives numbers."""
    board = make_virtual_board(paced=False, clock="host")
    cases = matrix.run(Virtual(board), tmp_path, clock, "preferred", kind, numbers=True)
    wrong = [f"{c.scenario.name}: expected {c.expected}, got {c.got}. {c.detail}" for c in cases if not c.ok]
    assert not wrong, "\n".join(wrong)


def test_the_table_is_large_enough() -> None:
    """At least 150 cases, without counting key types twice."""
    assert len(SCENARIOS) * len(matrix.CLOCKS) * len(matrix.PLACES) >= 450
    assert len({s.name for s in SCENARIOS}) == len(SCENARIOS)


def test_the_documentation_shows_the_table() -> None:
    """docs/device.md: `python -c "from tests.device import matrix; print(matrix.promised())"` prints what belongs there."""
    assert matrix.promised() in (ROOT / "docs" / "device.md").read_text()
