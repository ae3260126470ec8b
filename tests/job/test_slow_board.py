"""Boards on which everything takes longer: flash, the set-up of the UART, a program, an answer. Waited for, with a bound that is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.errors import BoardError
from provisioning.job.update import update
from provisioning.job.verify import verify
from provisioning.link import agent, firmware_kind
from provisioning.link import repl as module
from provisioning.link.events import Event
from provisioning.link.patience import Bound
from provisioning.link.port import open_port
from provisioning.link.repl import PROMPT, LinkBroken, RawRepl
from provisioning.link.transport.stream import raise_rate
from tests.job.conftest import Bench, blank, started


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """20 ms for every flash operation, reads too."""
    board = started(paced=True, latency_ms=1, flash_timing="slow")
    try:
        yield Bench(board, tmp_path_factory.mktemp("slow"))
    finally:
        board.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("every_job", [False, pytest.param(True, marks=pytest.mark.long)])
def test_jobs_on_slow_flash(slow: Bench, monkeypatch: pytest.MonkeyPatch, every_job: bool) -> None:
    """What an update writes, what it reads of a board that holds it, what it would do next; in the long form that and `verify`."""
    blank(slow.board)
    told: list[Event] = []
    product = slow.product()
    first = update(product, slow.device, slow.port, events=told.append)
    assert first.outcome == "pass", first.message
    assert not [event for event in told if event.kind == "resend"], "nothing is sent twice to a board that is only slow"
    # The self-test takes 15 s there: it gives signs of life, the longest pause is its import.
    monkeypatch.setattr(module, "PROGRAM", Bound(12.0, 12.0, 0, 12.0))
    assert update(product, slow.device, slow.port).code == "unchanged"
    if every_job:
        assert verify(slow.port).outcome == "pass"
    monkeypatch.undo()
    again = update(slow.product(a1b2c3d4e5f6g7="z9y8x7w6v5u4t3"), slow.device, slow.port, dry_run=not every_job)
    assert again.outcome == "pass", again.message
    assert again.wire["baud"] == 115200 and "higher rate gains nothing" in " ".join(again.notes)


def late(ms: int, high: int, home: int) -> bytes:
    """The program that raises the rate, on a chip that needs `ms` to set up its UART."""
    head, body = RAISED(high, home).decode().split("p.poll(2)\n", 1)
    return f"import utime\n{head}p.poll(2);utime.sleep_ms({ms})\n{body}".encode()


RAISED = agent.raised


@pytest.mark.parametrize("ms", [30, 250, 600])
def test_the_proof_of_a_rate_is_repeated(bench: Bench, monkeypatch: pytest.MonkeyPatch, ms: int) -> None:
    monkeypatch.setattr(agent, "raised", lambda high, home: late(ms, high, home))
    told: list[Event] = []
    report = update(bench.product(), bench.device, bench.port, max_baud=460800, events=told.append)
    assert report.outcome == "pass", report.message
    assert report.wire["baud"] == 460800 and not report.notes
    assert [event.data["baud"] for event in told if event.kind == "baud"] == [460800]


def test_a_rate_that_failed_for_time_is_no_bad_line(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "raised", lambda high, home: late(4000, high, home))
    with open_port(bench.port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        with pytest.raises(LinkBroken) as caught:
            raise_rate(repl, 460800)
        assert caught.value.code == "rate-late" and "within 1 s" in caught.value.message
        assert wire.baud == 115200
        assert repl.run("print(6*7)").strip() == b"42"
        repl.leave()


def test_a_silent_program_is_given_up_after_an_announcement(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROGRAM", Bound(6.0, 6.0, 0, 6.0))
    told: list[Event] = []
    with open_port(bench.port) as wire:
        wire.events = told.append
        repl = RawRepl(wire)
        repl.enter()
        began = time.monotonic()
        with pytest.raises(LinkBroken) as caught:
            repl.run("import utime\nutime.sleep(60)")
        assert caught.value.code == "board-timeout" and time.monotonic() - began < 8.0
        assert [event.data["limit"] for event in told] == [6.0]
        repl.enter()
        assert repl.run("print(6*7)").strip() == b"42"
        repl.leave()


def test_a_program_that_gives_signs_of_life_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROGRAM", Bound(1.0, 1.0, 0, 1.0))
    with open_port(bench.port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        code = "import utime\nfor i in range(5):\n utime.sleep_ms(600)\n print(end='\\x16')\nprint(6*7)"
        assert repl.run(code).strip() == b"42"
        repl.leave()


def test_an_answer_whose_end_was_lost_is_noticed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A control-A asks for the prompt: it comes at once from a board that has finished, and after its program from one that has not."""
    monkeypatch.setattr(module, "_PROBE", 1.0)
    with open_port(bench.port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        repl.start("print(1)")
        assert wire.until(b"\x04\x04>", 2.0).endswith(b"\x04\x04>")
        wire.unread(b"1\r\n\x04>")  # as it would have come with a byte less
        with pytest.raises(LinkBroken) as caught:
            repl.follow()
        assert caught.value.code == "answer-lost"
        assert repl.run("import utime\nutime.sleep(3)\nprint(6*7)").strip() == b"42"
        assert repl.run("print(7*7)").strip() == b"49"
        repl.leave()


def test_a_late_greeting_is_no_answer(bench: Bench) -> None:
    with open_port(bench.port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        for program in ("print(6*7)", "pass\n" * 100 + "print(6*7)"):
            wire.unread(PROMPT * 2)
            assert repl.run(program).strip() == b"42"
        assert repl.paste
        repl.leave()


@pytest.mark.timeout(120)
def test_a_long_answer_gets_through_a_bad_line(bench: Bench) -> None:
    """One damaged byte in 250: a thousand bytes never come whole, their pieces do."""
    with open_port(bench.port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        bench.board.inject("flip=0.004:out")
        try:
            assert repl.value("list(range(300))") == list(range(300))
        finally:
            bench.board.heal()
        repl.enter()
        repl.leave()


class Answers:
    """Stands in for a RawRepl: one answer to everything."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.wire = type("Wire", (), {"name": "COM9"})

    def enter(self) -> None: ...

    def run(self, source: str) -> bytes:
        return self.answer


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (b"['circuitpython', (9, 2, 3, '')]\r\n", "circuitpython", "CircuitPython 9.2"),
        (b"['micropython', (1, 18, 0)]\r\n", "micropython-too-old", "MicroPython 1.18"),
        (b"['micropython', (1, 20, 0)]\r\n", "micropython-too-old", "MicroPython 1.20"),
        (b"['brython', (3, 1)]\r\n", "other-python", "brython 3.1"),
    ],
)
def test_what_is_not_ours_is_named(answer: bytes, code: str, words: str) -> None:
    """The answers are those of stock images of 1.18, 1.20 and CircuitPython 9.2.3."""
    with pytest.raises(BoardError) as caught:
        firmware_kind.ask(Answers(answer))  # type: ignore[arg-type]
    assert caught.value.code == code and words in caught.value.message


@pytest.mark.parametrize("answer", [b"['micropython', (1, 24, 1, '')]\r\n", b"", b"nonsense", b"[1]"])
def test_an_unclear_answer_refuses_nothing(answer: bytes) -> None:
    firmware_kind.ask(Answers(answer))  # type: ignore[arg-type]


def test_a_damaged_answer_is_no_other_python() -> None:
    class Noisy(Answers):
        def run(self, source: str) -> bytes:
            self.answer = self.answer.swapcase()
            return self.answer

    firmware_kind.ask(Noisy(b"['micropython', (1, 24, 1)]\r\n"))  # type: ignore[arg-type]


def test_a_broken_run_says_which_set_is_active(bench: Bench, tmp_path: Path) -> None:
    """Cut off in the middle, the old one is; the board that is gone after the commit has the new one."""
    product = bench.product()
    assert update(product, bench.device, bench.port).outcome == "pass"
    other = bench.product(a1b2c3d4e5f6g7="z9y8x7w6v5u4t3")

    def at(step: str) -> str | None:
        def unplug(event: Event) -> None:
            if event.kind == "step" and event.data["name"] == step:
                bench.board.unplug()

        report = update(other, bench.device, bench.port, events=unplug)
        bench.board.plug()
        assert report.outcome == "error" and report.code == "port-lost"
        return report.active

    assert at("plan") == "untouched"
    assert at("transfer") == "old"
    assert at("restart") == "new"
