"""docs/virtual-board.md says what there is: options, methods, counters, faults; and its commands and snippets run as they stand."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from provisioning.virtual import VirtualBoard
from provisioning.virtual.faults import FAULTS, parse
from provisioning.virtual.inject import ACTIONS
from tests.virtual.conformance.micropython.explained import EXPLAINED

PAGE = (Path(__file__).parents[2] / "docs" / "virtual-board.md").read_text("utf-8")
COMMAND = [sys.executable, "-m", "provisioning.virtual"]


def section(title: str) -> str:
    """The text between a heading and the next."""
    return re.split(r"\n## ", PAGE.split(f"\n## {title}\n", 1)[1], maxsplit=1)[0]


def first_cells(text: str) -> str:
    """The first column of a table, without its head."""
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")]
    return "\n".join(row for row in rows if "---" not in row)


def names(pattern: str, text: str) -> set[str]:
    return set(re.findall(pattern, text))


def test_every_option_is_in_the_table():
    usage = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert names(r"--[a-z-]+", first_cells(section("Start one"))) == names(r"--[a-z-]+", usage.split("options:")[1]) - {"--help", "--json"}


def test_every_method_is_there():
    told = names(r"`(\w+)\(", first_cells(section("From Python")))
    assert told == {name for name in vars(VirtualBoard) if not name.startswith("_")} - {"start", "close", "powered", "call"}


def test_every_counter_is_named(virtual_board):
    assert names(r"`(\w+)`", section("Counters")) == set(virtual_board.counters())


def test_every_fault_and_action_is_in_the_table_or_the_examples():
    text = section("Faults")
    told = [fault.replace("…", "0.1").replace("@0.1", "@9") for fault in re.findall(r"`([^`]+)`", first_cells(text))]
    for fault in told:
        first, *others = fault.split("\\|")
        for choice in [first, *(f"{first.partition('=')[0]}={other}" for other in others)]:
            parse(choice)
    assert {fault.partition("=")[0].partition("@")[0] for fault in told} == set(FAULTS)
    assert set(ACTIONS) <= names(r"--inject ([a-z-]+)", text)


def test_the_commands_of_the_page_run_as_they_stand(tmp_path):
    lines = [line.split("#")[0].strip() for line in section("Faults").splitlines() if line.startswith("    twinroot virtual")]
    assert len(lines) >= 5
    with VirtualBoard(state=tmp_path / "bench" / "a"):
        for line in lines:
            done = subprocess.run([*COMMAND, *shlex.split(line)[2:]], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, (line, done.stderr)
            if "--json" in line:
                assert json.loads(done.stdout)["outcome"] == "pass"


@pytest.mark.parametrize("snippet", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_the_snippets_use_what_there_is(snippet):
    """Each method and keyword of a board that a snippet uses; what it does with a product is its own."""
    from inspect import signature

    from provisioning.virtual.options import VirtualOptions

    for node in ast.walk(ast.parse(snippet)):
        if not isinstance(node, ast.Call):
            continue
        given = {keyword.arg for keyword in node.keywords}
        if isinstance(node.func, ast.Name) and node.func.id == "VirtualBoard":
            assert given <= set(VirtualOptions.__dataclass_fields__)
        elif isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) in ("vb", "virtual_board"):
            assert given <= set(signature(getattr(VirtualBoard, node.func.attr)).parameters)


def test_the_first_snippet_runs_as_it_stands():
    [first] = re.findall(r"```python\n(.*?)```", section("From Python").split("\n| ")[0], re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(first, "virtual-board.md", "exec"), names)
    assert names["link"]


def test_each_of_micropythons_tests_that_does_not_pass_is_there_with_its_reason():
    wanted = {(test.removesuffix(".py"), row.why) for test, row in EXPLAINED.items()}
    rows = re.findall(r"^  \| (`[^|]+`) \| ([^|]+) \|$", section("How far it can be trusted"), re.MULTILINE)
    assert {(test, why) for tests, why in rows for test in re.findall(r"`([^`]+)`", tests)} == wanted
