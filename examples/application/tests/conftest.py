"""What the tests of this project share: a board with the application's code on it."""

from pathlib import Path

import pytest

APP = Path(__file__).parents[1] / "app"


@pytest.fixture
def station(board):
    """The board under test with station.py. It is in its known state again for the next test."""
    board.put(APP / "station.py", "/lib")
    return board
