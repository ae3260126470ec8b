"""docs/hil.md and README: their examples run as they stand, and their tables name what there is."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from provisioning.hil import Board, plugin
from provisioning.hil.engines import ENGINES
from provisioning.hil.options import OPTIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "hil.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
FIRST = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)[0].strip().splitlines()


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> str:
    return "\n".join(line.split(" | ")[0] for line in text.splitlines() if line.startswith("| "))


def test_the_python_of_the_page_runs(pytester: pytest.Pytester) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    pytester.makeconftest(
        """
        import pytest
        from provisioning.link.port import open_port
        from provisioning.link.recording import Recorder
        from provisioning.link.repl import RawRepl
        from provisioning.link.tap import listening

        def tool(port):
            with open_port(port) as wire:
                repl = RawRepl(wire)
                repl.enter()
                return repl.value("0")

        @pytest.fixture
        def run_my_tool():
            return tool

        @pytest.fixture
        def session_of_that_day(board, tmp_path):
            with Recorder(tmp_path / "session.json") as tape, listening(tape):
                tool(board.port)
            return tmp_path / "session.json"
        """
    )
    pytester.makepyfile(**{f"test_block_{number}": block for number, block in enumerate(blocks)})
    count = sum(block.count("\ndef test_") for block in blocks)
    assert count >= 5
    pytester.runpytest_inprocess().assert_outcomes(passed=count)


def test_the_page_and_the_readme_begin_with_the_same_five_lines(pytester: pytest.Pytester) -> None:
    assert len(FIRST) == 5
    assert all(line.partition("  #")[0].strip() in README for line in FIRST)
    # The two in the middle, on what this environment has; test_wheel.py runs them all in one of their own.
    subprocess.run(FIRST[2], shell=True, cwd=pytester.path, check=True)
    pytester.runpytest_inprocess(*FIRST[3].partition("  #")[0].split()[1:]).assert_outcomes(passed=1)


def test_every_option_is_in_the_table() -> None:
    assert set(re.findall(r"--[a-z][a-z-]*", first_cells(section("Options")))) == {option.name for option in OPTIONS}


def test_every_marker_and_fixture_is_in_the_tables() -> None:
    text = first_cells(section("Fixtures and markers"))
    assert {name.partition("(")[0] for name in plugin.MARKERS} <= set(re.findall(r"`(\w+)", text))
    from provisioning.hil import fixtures

    public = {
        name for name, value in vars(fixtures).items() if "fixture" in type(value).__name__.lower() and not name.startswith(("_", "hil_"))
    }
    assert public - {"reachable"} <= set(re.findall(r"`(\w+)", text))


def test_every_method_and_engine_is_in_the_tables() -> None:
    told = set(re.findall(r"`(\w+)", first_cells(section("A test"))))
    inside = {"prepare", "provision", "release", "leave", "close", "holder", "hardware", "real", "can", "engine", "identity_known"}
    assert {name for name in vars(Board) if not name.startswith("_")} - inside <= told
    assert set(ENGINES) <= set(re.findall(r"\w+", section("Engines").strip().splitlines()[0]))


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_five_lines_with_the_wheel_in_an_environment_of_its_own(tmp_path: Path) -> None:
    """The install's own time included; a second run, whose packages are in pip's cache."""
    wheel = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(wheel, check=True, cwd=tmp_path)
    [file] = tmp_path.glob("*.whl")
    lines = [line.partition("  #")[0].replace("twinroot[test]", f"{file}[test]") for line in FIRST[:4]]
    for number in range(2):
        home = tmp_path / str(number)
        home.mkdir()
        subprocess.run(lines[0].replace("python ", f"{sys.executable} "), shell=True, check=True, cwd=home)
        started = time.perf_counter()
        for line in lines[1:]:
            done = subprocess.run(line, shell=True, cwd=home, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        seconds = time.perf_counter() - started
    print(f"{seconds:.1f} s")
    assert seconds < 60
