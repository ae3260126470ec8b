"""A program that holds the board loses it: the prompt is back, and the program's file is still there under another name."""

from __future__ import annotations

import pytest

from provisioning.hil.acceptance.jobs import passed
from provisioning.hil.board import Board
from provisioning.job.rescue import rescue

_HOLDS = "import time\nwhile True:\n    try:\n        while True: time.sleep_ms(5)\n    except KeyboardInterrupt:\n        pass\n"


@pytest.mark.destructive("renames main.py")
def test_a_board_that_its_program_holds(board: Board) -> None:
    main = board.fs / "main.py"
    main.unlink(missing_ok=True)
    main.write_text(_HOLDS)
    board.reset("soft")
    board.release()
    passed(rescue(board.hardware.loader_port))
    assert board.eval("6 * 7") == 42
    assert _HOLDS in [path.read_text() for path in board.fs.iterdir() if path.name.startswith("main")] and not main.exists()
