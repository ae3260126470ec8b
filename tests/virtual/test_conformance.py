"""The target `conformance`: what is an error of it, and how it says that a checkout is none. The suites themselves need a checkout."""

from __future__ import annotations

import subprocess
import sys

from tests.virtual.conformance.micropython.bench import parts
from tests.virtual.conformance.micropython.explained import EXPLAINED, Row, rows
from tests.virtual.conformance.micropython.run import Score
from tests.virtual.conformance.score import Result


def unexpected(outcome: str, row: Row | None) -> list[str]:
    return Score([Result("io/a.py", outcome, 0.0, "differs")], [], 1.0, {"io/a.py": row} if row else {}).unexpected


def test_a_failure_without_a_reason_and_a_pass_against_the_table_are_errors():
    assert unexpected("failed", None) == ["io/a.py does not pass: differs"]
    assert unexpected("passed", Row("cannot")) == ["io/a.py passes, and the table says: cannot"]
    assert not unexpected("failed", Row("cannot"))
    assert not unexpected("passed", None)
    assert not unexpected("passed", Row("late at times", always=False))


def test_rows_hold_for_the_versions_that_they_name():
    assert "unicode/ascii.py" in rows((1, 29))
    assert "unicode/ascii.py" not in rows((1, 28))
    assert "basics/int_bytes.py" not in rows((1, 29))
    assert all(row.why for row in EXPLAINED.values())


def test_the_tests_of_one_run_have_the_files_of_one_folder():
    work = parts([f"basics/{n}.py" for n in range(30)] + ["io/a.py", "thread/a.py"])
    assert [len(part) for part in work] == [1, 24, 6, 1]
    assert work[0] == ["thread/a.py"]


def test_what_is_not_a_checkout_is_said(tmp_path):
    for arguments, word in (
        ([], "no checkout"),
        (["--micropython", str(tmp_path)], "run-tests.py"),
        (["--esptool", str(tmp_path)], "esptool"),
    ):
        done = subprocess.run([sys.executable, "-m", "tests.virtual.conformance", *arguments], capture_output=True, text=True, check=False)
        assert (done.returncode, word in done.stderr) == (2, True), done.stderr
