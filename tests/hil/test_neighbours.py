"""What is on the board and is not ours stays, and other people's tools work before and after."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from provisioning.hil import Board, files
from provisioning.hil.products import ProductMaker
from provisioning.job.report import Report
from provisioning.job.rollback import rollback
from provisioning.job.update import update
from tests.hil.passed import passed

OTHER_PREFIX = "z9y8x7w6v5u4t3"
Tool = Callable[[Board, Path, str], None]

# On a board that has a main.py or boot.py of its own, that one is watched instead.
USERS = {
    "/main.py": "print('a program of the user')\n",
    "/boot.py": "# what the user does first\n",
    "/hil_data.bin": "0123456789" * 50,
    "/lib/hil_users.py": "x = 1\n",
}


def others(board: Board) -> dict[str, tuple[int, bytes]]:
    """Every file and folder that is not twinroot's: path -> (size, digest)."""
    return {path: row for path, row in files.look(board).items() if not path.startswith(files.OURS) and path != "/lib"}


@pytest.fixture
def users(board: Board) -> dict[str, tuple[int, bytes]]:
    """Files of the user on the board; what is there already stays as it is."""
    (board.fs / "lib").mkdir(exist_ok=True)
    for path, text in USERS.items():
        if not (board.fs / path).exists():
            (board.fs / path).write_text(text)
    return others(board)


def test_the_users_files_are_never_touched(board: Board, make_product: ProductMaker, users: dict[str, tuple[int, bytes]]) -> None:
    assert set(USERS) <= set(users)
    jobs: list[Callable[[], Report]] = [
        lambda: update(make_product(), make_product.device, board.port),
        lambda: update(make_product(OTHER_PREFIX), make_product.device, board.port),
        lambda: rollback(board.port),
    ]
    for job in jobs:
        report = passed(job())
        assert not set(report.written) & set(users)
        assert others(board) == users


def _tool(module: str, *arguments: str) -> str:
    made = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 0, f"{module} {' '.join(arguments)}: {made.stdout}{made.stderr}"
    return made.stdout.replace("\r\n", "\n")


def mpremote(board: Board, *arguments: str) -> str:
    """What `mpremote connect PORT ARGUMENTS` prints."""
    return _tool("mpremote", "connect", board.port, *arguments)


def ampy(board: Board, *arguments: str) -> str:
    """What `ampy --port PORT ARGUMENTS` prints. ampy opens device names only, no rfc2217://."""
    return _tool("ampy.cli", "--port", board.port, *arguments)


# What a tool does before the update, and what it finds of that after it.
def _mpremote_before(board: Board, file: Path, name: str) -> None:
    mpremote(board, "cp", str(file), f":{name}")
    assert name in mpremote(board, "ls")


def _mpremote_after(board: Board, file: Path, name: str) -> None:
    assert mpremote(board, "exec", f"print(open('{name}').read())").strip() == file.read_text("utf-8").strip()
    back = file.with_suffix(".back")
    mpremote(board, "cp", f":{name}", str(back))
    assert back.read_bytes() == file.read_bytes()
    mpremote(board, "rm", f":{name}")
    assert name not in mpremote(board, "ls")


def _ampy_before(board: Board, file: Path, name: str) -> None:
    if "://" in board.port:
        pytest.skip("ampy opens device names only")
    ampy(board, "put", str(file), name)
    assert name in ampy(board, "ls")


def _ampy_after(board: Board, file: Path, name: str) -> None:
    assert ampy(board, "get", name).strip() == file.read_text("utf-8").strip()
    program = file.with_suffix(".py")
    program.write_text(f"import os\nprint(len(open('{name}').read()))\nos.remove('{name}')\n", "utf-8")
    assert ampy(board, "run", str(program)).strip() == str(len(file.read_text("utf-8")))
    assert name not in ampy(board, "ls")


@pytest.mark.parametrize(("before", "after"), [(_mpremote_before, _mpremote_after), (_ampy_before, _ampy_after)], ids=["mpremote", "ampy"])
def test_others_tools_work_before_and_after(board: Board, make_product: ProductMaker, tmp_path: Path, before: Tool, after: Tool) -> None:
    file = tmp_path / "hil.txt"
    file.write_text("".join(f"line {n} äöü\n" for n in range(20)), encoding="utf-8")
    before(board, file, "hil.txt")
    passed(update(make_product(), make_product.device, board.port))
    after(board, file, "hil.txt")
    # They leave the board in a state that a job finds its way in.
    assert update(make_product(), make_product.device, board.port).code == "unchanged"
