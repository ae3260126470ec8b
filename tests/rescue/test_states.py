"""`rescue` on each kind of program that holds a board: every file is kept, the programs are renamed, the board is at its prompt."""

from __future__ import annotations

import pytest

from provisioning.job.rescue import rescue
from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from provisioning.rescue import cause
from provisioning.virtual import VirtualBoard
from tests.rescue.conftest import OWN, files_of, put
from tests.rescue.states import STATES, State

SAID = {  # a word of what the report says about the cause
    "asyncio-rerun": "catches control-C",
    "bare-except": "catches control-C",
    "kbd-intr": "kbd_intr(-1)",
    "dupterm": "dupterm(None)",
    "uart-9600": "UART",
    "watchdog": "watchdog",
    "deepsleep": "sleep",
    "endless-boot": "boot.py had not ended",
    "deaf-boot": "/boot.py, line 2",
    "stubborn-boot": "/boot.py, line 5, catches control-C",
    "full-heap": "heap",
}


def started_at_once(board: VirtualBoard) -> str:
    """The board's files at a prompt that needs no more than a interrupt."""
    with open_port(board.pty) as wire:
        repl = RawRepl(wire)
        repl.enter()
        assert repl.hold is None
        return repl.run("import os\nprint(sorted(os.listdir('/')))").decode()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_each_state(board: VirtualBoard, state: State) -> None:
    put(board, OWN | {path: text.encode() for path, text in state.files.items()})
    before = files_of(board)
    board.power_on()
    assert board.happens("boot", 5.0) or board.counters()["boots"]
    report = rescue(board.rfc2217)
    assert (report.outcome, report.code) == ("pass", "pass"), report.message
    assert SAID[state.name] in report.message, report.message
    assert report.mac == board.mac
    wanted = {f"{path}.rescued" if path in state.files else path: content for path, content in before.items()}
    assert files_of(board) == wanted
    assert report.written == sorted(f"{path}.rescued" for path in state.files)
    assert "main.py.rescued" in started_at_once(board)


def test_nothing_holds_it(board: VirtualBoard) -> None:
    """A program that lets control-C through is left where it is, and goes on."""
    put(board, {"/main.py": b"import time\nprint('at work')\nwhile True:\n    time.sleep_ms(20)\n"})
    before = files_of(board)
    with open_port(board.pty) as wire:
        board.power_on()
        assert wire.until(b"at work", 5.0).endswith(b"at work")
        report = rescue(board.rfc2217)
        assert (report.outcome, report.code, report.written) == ("pass", "unchanged", [])
        assert wire.until(b"at work", 5.0).endswith(b"at work"), "the program was not started again"
    assert files_of(board) == before


def test_a_name_that_is_taken(board: VirtualBoard) -> None:
    """A second rescue writes over nothing that the first one kept."""
    put(board, {"/main.py": STATES[2].files["/main.py"].encode(), "/main.py.rescued": b"the first\n"})
    board.power_on()
    report = rescue(board.rfc2217)
    assert report.written == ["/main.py.rescued2"], report.message
    assert files_of(board)["/main.py.rescued"] == b"the first\n"


def test_without_reset_lines(board: VirtualBoard) -> None:
    """A pseudo-terminal cannot reset: the message says what is missing, and nothing is written."""
    put(board, {"/main.py": STATES[2].files["/main.py"].encode()})
    before = files_of(board)
    board.power_on()
    report = rescue(board.pty)
    assert (report.outcome, report.exit_code) == ("fail", 1)
    assert "reset lines" in report.hint
    assert files_of(board) == before


def test_causes_are_found_in_code_only() -> None:
    source = b"# kbd_intr(-1) in a comment\nx = 'text'  # WDT()\nimport machine\nmachine.deepsleep(10)\n"
    assert cause.in_source({"/main.py": source}) == ["/main.py, line 4, puts the chip to deep sleep"]
    assert not cause.does_something(b"# This file is executed on every boot\n#import esp\n\n")
