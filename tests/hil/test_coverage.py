"""Lines that ran on a board are what coverage.py says of the same code on this computer, and its report takes them."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import types
from pathlib import Path

import coverage
import pytest

from provisioning.hil import Board, marks
from provisioning.hil.coverage import BoardCoverage

SAMPLE = '''\
"""Every statement that MicroPython has.
Two lines of text."""
import gc
X = 1
def run(n):
    "text"
    total = 0
    for i in range(n):
        if i % 2 and (i or
                n):
            total += i
        elif i == 4: total += 100
        else:
            continue
    while total > 1000: total -= 1
    try:
        def inner(): return 5
        raise OSError(3)
    except ValueError:
        return 1
    except OSError as e:
        pass
    finally:
        total += 1
    try:
        total += inner()
    except:
        total = 0
    else:
        total += 1
    with open("/covered", "w") as f: f.write("ä"); x = 3
    del x
    assert total
    for i in (): pass
    else:
        total += 1
    def local():
        global X
        X = 2
    local()
    return [n for n in range(total) if n > 3][0]
@staticmethod
def never():
    return 2
class Thing:
    y = 1
    def method(self):
        return 5
if X == 3:
    print("no")
elif X == 1:
    z = (1,
      2)
'''


def ran_here(file: Path) -> set[int]:
    """What coverage.py measures of the same file."""
    watch = coverage.Coverage(data_file=None, include=[str(file)], config_file=False)
    watch.start()
    try:
        module = types.ModuleType("sample")
        text = file.read_text("utf-8").replace('"/covered"', repr(str(file.with_name("covered"))))
        exec(compile(text, str(file), "exec"), module.__dict__)
        module.run(7)
    finally:
        watch.stop()
    return set(watch.get_data().lines(str(file)) or ())


@pytest.mark.parametrize("first", ["", "# a comment\n", "import sys\n", "def early():\n    pass\n"])
def test_a_file_on_the_board(board: Board, tmp_path: Path, first: str) -> None:
    file = tmp_path / "sample.py"
    file.write_text(first + SAMPLE if not first else first + SAMPLE.partition('lines of text."""\n')[2], "utf-8")
    measured = BoardCoverage([tmp_path])
    measured.watch(board)
    try:
        board.put(file)
        board.exec("import sample\nsample.run(7)")
        measured.collect(board)
        written = measured.save(tmp_path)
    finally:
        measured.unwatch(board)
    assert written is not None
    data = coverage.CoverageData(str(written))
    data.read()
    text = {1} if not first else set()  # a module's text is not a statement of its own
    assert set(data.lines(str(file)) or ()) == ran_here(file) - text


def test_a_run_of_pytest_and_its_combined_report(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        def level(raw):
            if raw > 10:
                return "high"
            return "low"

        def test_on_the_board(board):
            assert board.call(level, 11) == "high"
            board.reset()
            assert board.call(level, 12) == "high"

        def test_here():
            assert level(1) == "low"
        """
    )
    command = [sys.executable, "-m", "coverage", "run", "-p", "--include=test_it.py", "-m", "pytest", "-q", "--board-cov", "test_it.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, cwd=pytester.path)
    assert done.returncode == 0, done.stdout + done.stderr
    for step in (["combine"], ["report", "-m"]):
        done = subprocess.run([sys.executable, "-m", "coverage", *step], capture_output=True, text=True, check=True, cwd=pytester.path)
    assert "100%" in done.stdout, done.stdout


def test_marks_keep_the_lines_and_the_exceptions() -> None:
    source = textwrap.dedent(SAMPLE)
    made = marks.mark(source)
    assert made.source.count("\n") == source.count("\n")
    with pytest.raises(SyntaxError):
        marks.mark("def")
