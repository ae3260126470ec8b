"""What a test has of a board: code, functions, output, files, power, snapshots. On the virtual engine, in one process."""

from __future__ import annotations

import re

import pytest

from provisioning.errors import BoardError
from provisioning.hil import Board, BoardRaised, ExpectationFailed

UNIT = 3


class Reading:
    def __init__(self, value: int) -> None:
        self.value = value * UNIT


def twice(value: int) -> int:
    return 2 * value


def measure(values: list[int], *, offset: int = 0) -> dict[str, object]:
    """Uses of its file a function, a class and a number; of the board a module."""
    import sys

    return {"values": [twice(Reading(value).value) + offset for value in values], "platform": sys.platform, "raw": b"\x00\x04\xff"}


def fails() -> None:
    values: list[int] = []
    values[3] = 1


async def later(value: int) -> int:
    import asyncio

    await asyncio.sleep(0.001)
    return value


def test_exec_and_eval(board: Board) -> None:
    assert board.exec("x = 20\nprint('ä', x)") == "ä 20\n"
    assert board.eval("(x, 2.5, 'é', b'\\x04', None, [True])") == (20, 2.5, "é", b"\x04", None, [True])
    assert board.eval("bytearray(b'ab')") == bytearray(b"ab") and board.eval("set()") == set()
    with pytest.raises(TypeError, match="not one that can be sent"):
        board.eval("object()")


def test_a_function_of_the_test_runs_on_the_board(board: Board) -> None:
    assert board.call(measure, [1, 2], offset=1) == {"values": [7, 13], "platform": "esp32", "raw": b"\x00\x04\xff"}
    assert board.call(later, "ü") == "ü"


def test_exceptions_come_back_as_what_they_are(board: Board) -> None:
    with pytest.raises(IndexError) as caught:
        board.call(fails)
    assert isinstance(caught.value, BoardRaised) and caught.value.kind == "IndexError"
    line = fails.__code__.co_firstlineno + 2
    assert f'test_board.py", line {line}, in fails' in str(caught.value)
    with pytest.raises(FileNotFoundError) as missing:
        board.exec("open('nothing')")
    assert missing.value.errno == 2
    with pytest.raises(BoardRaised, match="Custom: odd"):
        board.exec("class Custom(Exception): pass\nraise Custom('odd')")
    with pytest.raises(ValueError) as several:
        board.exec("raise ValueError(1, 'two')")
    assert several.value.args == (1, "two")
    with pytest.raises(SyntaxError):
        board.exec("def")


def test_what_cannot_be_sent_is_a_sentence(board: Board) -> None:
    outer = object()

    def closed() -> object:
        return outer

    for function, arguments, word in (
        (lambda: 1, (), "write it with `def`"),
        (closed, (), "uses outer of the function around it"),
        (twice, (object(),), "argument 1 of twice is a object"),
        (twice, (float("inf"),), "argument 1 of twice is a float"),
        (print, (), "not a Python function"),
        (uses_host, (), "uses PATTERN, a Pattern"),
    ):
        with pytest.raises(TypeError, match=word):
            board.call(function, *arguments)


PATTERN = re.compile("x")


def uses_host() -> object:
    return PATTERN


def test_output_is_watched_while_a_program_runs(board: Board) -> None:
    board.start("import time\nfor n in range(3):\n print('tick', n)\n time.sleep(0.05)\nraise OSError(5)")
    assert board.expect(r"tick (\d)\n")[1] == "0"
    assert board.expect(r"tick (\d)\n")[1] == "1"
    with pytest.raises(OSError, match="EIO"):
        board.expect("never", timeout=5)
    with pytest.raises(ExpectationFailed, match=r"(?s)did not come within 0.05 s.*tick 2"):
        board.expect("never", timeout=0.05)
    board.start("print('short')")
    assert board.wait() == "short\n"
    board.start("while True: pass")
    with pytest.raises(ExpectationFailed, match="did not end"):
        board.wait(0.1)
    board.interrupt()
    assert board.exec("print(1)") == "1\n"


def test_files_as_pathlib_has_them(board: Board) -> None:
    folder = board.fs / "data" / "deep"
    folder.mkdir(parents=True)
    with pytest.raises(FileExistsError):
        folder.mkdir()
    folder.mkdir(exist_ok=True)
    file = folder / "a.bin"
    content = bytes(range(256)) * 9
    assert file.write_bytes(content) == len(content) and file.read_bytes() == content
    assert (file.stat().st_size, file.is_file(), file.is_dir(), folder.is_dir()) == (2304, True, False, True)
    text = file.with_name("b.txt")
    text.write_text("zwölf\n")
    assert text.read_text() == "zwölf\n"
    assert [path.name for path in folder.iterdir()] == ["a.bin", "b.txt"]
    assert [str(path) for path in (board.fs / "data").rglob("*.txt")] == ["/data/deep/b.txt"]
    moved = text.rename("c.txt")
    assert moved == "/data/deep/c.txt" and not text.exists()
    with pytest.raises(FileNotFoundError):
        text.unlink()
    text.unlink(missing_ok=True)
    with pytest.raises(OSError):
        folder.rmdir()
    (board.fs / "data").rmtree()
    assert not folder.exists() and board.fs.free() > 1_000_000


def test_resets_run_the_boards_own_program(board: Board) -> None:
    (board.fs / "main.py").write_text("print('main', 6 * 7)")
    board.reset()
    board.expect(r"rst:0x")
    board.expect("main 42")
    board.exec("x = 1")
    board.reset("soft")
    board.expect("main 42")
    board.reset("watchdog")
    board.expect("main 42")
    assert board.exec("print('x' in dir())") == "False\n"


def test_the_power_goes_in_a_flash_operation(board: Board) -> None:
    board.power_cut(2, seed=4)
    board.start("while True:\n with open('/f', 'w') as f: f.write('x' * 5000)")
    assert board.wait_off()
    board.power_on()
    assert board.eval("1") == 1
    board.power_cut()
    assert board.eval("2") == 2


def test_measures(board: Board) -> None:
    before = board.flash_ops
    (board.fs / "f").write_bytes(b"x" * 9000)
    after = board.flash_ops
    assert before is not None and after is not None and after.programs - before.programs > 30
    heap = board.heap
    board.exec("kept = bytearray(50000)")
    assert 50_000 <= heap.free - board.heap.free < 60_000
    assert board.identity["chip"] == "esp32" and board.identity["mac"] in board.identity_known


def test_time_travel(board: Board) -> None:
    (board.fs / "one").write_text("1")
    board.snapshot()
    (board.fs / "one").unlink()
    (board.fs / "two").write_text("2")
    board.exec("import esp32\nn = esp32.NVS('a')\nn.set_i32('k', 5)\nn.commit()")
    board.restore()
    assert [path.name for path in board.fs.iterdir()] == ["boot.py", "one"]
    with pytest.raises(OSError):
        board.exec("import esp32\nesp32.NVS('a').get_i32('k')")


def test_a_restart_in_the_middle_is_said_at_once(board: Board) -> None:
    with pytest.raises(BoardError, match="restarted while a program ran"):
        board.exec("print('on the way')\nimport machine\nmachine.reset()", timeout=30)
    assert "on the way" in board.log and len(board.log.events) <= 50
