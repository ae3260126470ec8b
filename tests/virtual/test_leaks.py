"""Boards one after another leave nothing: no descriptor, thread, process or folder."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest

from provisioning.virtual import VirtualBoard


def left(folder: Path) -> tuple[int, int, list[str], list[str]]:
    """Descriptors, threads, children, folders for temporary files."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return len(os.listdir("/proc/self/fd")), threading.active_count(), children, sorted(os.listdir(folder))


@pytest.mark.parametrize("boards", [5, pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_boards_in_sequence_leave_nothing(tmp_path, monkeypatch, boards):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = left(tmp_path)
    for number in range(boards):
        with VirtualBoard(paced=False, link="pty" if number % 2 else "rfc2217") as board:
            board.reset()
        now = left(tmp_path)
        assert now[0] <= before[0], f"descriptors after {number + 1} boards"  # fewer: an earlier test's garbage was collected
        assert now[1:] == before[1:], f"after {number + 1} boards"
