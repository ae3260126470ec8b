"""Noise on the line, resets and power cuts during real updates over real serial bytes: PASS or a clear FAIL, never a mix, never a hang."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.job.report import Report
from provisioning.job.update import update
from provisioning.job.verify import verify
from provisioning.link.events import Event, Listener, silent
from provisioning.link.repl import LinkBroken
from provisioning.link.transport.stream import StreamSession
from provisioning.virtual import VirtualBoard
from tests.job.conftest import Bench, started

NEW = {"a1b2c3d4e5f6g7": "z9y8x7w6v5u4t3"}
HANG = 100.0  # seconds: every wait of an update ends long before


class Faulty:
    """A board that holds one set, and the runs that try to give it another."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.old = bench.product()
        bench.restart()
        first = update(self.old, bench.device, bench.port)
        assert first.outcome == "pass", first.message
        self.hashes = {first.selftest["set_sha256"]: "old"}
        self.new = bench.product(**NEW)
        bench.board.power_off()
        bench.board.snapshot("old")
        bench.board.power_on()

    def again(self) -> None:
        self.bench.board.heal()
        self.bench.board.power_off()
        self.bench.board.restore("old")
        self.bench.restart()

    def run(self, transport: str = "auto", events: Listener = silent) -> Report:
        started_at = time.monotonic()
        report = update(self.new, self.bench.device, self.bench.port, transport=transport, events=events)
        assert time.monotonic() - started_at < HANG
        return report

    def judge(self, report: Report) -> str:
        """The oracle: after a restart without faults the device reports the old set or the new one, whole; a PASS means the new one."""
        self.bench.board.heal()
        self.bench.restart()
        found = verify(self.bench.port)
        assert found.outcome == "pass", f"{report.code} left {found.message}"
        held = self.hashes.get(found.selftest["set_sha256"], "new")
        assert report.outcome in ("pass", "fail", "error") and report.message
        if report.outcome == "pass":
            assert held == "new", "PASS, but the device holds the old set"
        final = update(self.new, self.bench.device, self.bench.port)
        assert final.outcome == "pass", f"after {report.code}: {final.message}"
        return held


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    board = started(paced=False, latency_ms=0)
    try:
        yield Faulty(Bench(board, tmp_path_factory.mktemp("faulty")))
    finally:
        board.close()


def noise(board: VirtualBoard, seed: int) -> str:
    """One or two faults, chosen by the seed; what they are."""
    dice = random.Random(seed)
    chosen = []
    for _ in range(dice.choice((1, 1, 2))):
        kind = dice.choice(("flip", "flip", "drop", "duplicate", "reset", "drop@", "stuck"))
        way = dice.choice(("", ":in", ":out"))
        if kind in ("flip", "drop", "duplicate"):
            fault = f"{kind}={dice.choice((0.0002, 0.001, 0.004))}{way}"
        elif kind == "drop@":
            fault = f"drop@{dice.randrange(5000)}:in"
        else:
            fault = f"{kind}@{dice.randrange(5000)}"
        board.inject(fault)
        chosen.append(fault)
    return " ".join(chosen)


def noisy(faulty: Faulty, seeds: range, transport: str = "auto") -> dict[str, int]:
    seen: dict[str, int] = {}
    for seed in seeds:
        faulty.again()
        faults = noise(faulty.bench.board, seed)
        report = faulty.run(transport)
        try:
            held = faulty.judge(report)
        except AssertionError as error:
            raise AssertionError(f"seed {seed} ({faults}): {error}") from error
        word = f"{report.outcome}, {held} set"
        seen[word] = seen.get(word, 0) + 1
    return seen


@pytest.mark.usefixtures("brief")
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("transport", "runs"), [("auto", 12), ("paste", 5), ("ampy", 5)])
def test_noise(faulty: Faulty, transport: str, runs: int, record_property: Any) -> None:
    seen = noisy(faulty, range(runs), transport)
    record_property("runs", str(seen))
    assert sum(seen.values()) == runs


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("shard", range(10))
def test_noise_a_thousand_times(faulty: Faulty, shard: int, record_property: Any) -> None:
    """A thousand seeds in ten parts, which run beside each other."""
    first = 1000 + 100 * shard
    seen = noisy(faulty, range(first, first + 100))
    record_property("runs", str(seen))
    print(f"100 noisy updates, seeds from {first}: {seen}")
    assert sum(seen.values()) == 100


def cut(faulty: Faulty, operations: int, seed: int, transport: str = "auto") -> str:
    """The power goes at a flash operation, torn, and comes back at once: which set the device holds."""
    faulty.again()
    board = faulty.bench.board
    board.cut(operations, seed)
    reports: list[Report] = []
    worker = threading.Thread(target=lambda: reports.append(faulty.run(transport)))
    worker.start()
    if board.happens("off", 30.0):
        board.power_on()
    worker.join(HANG)
    assert reports, "the update hangs"
    return faulty.judge(reports[0])


@pytest.mark.usefixtures("brief")
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("transport", "places"),
    [("auto", (0, 5, 11, 18, 26, 35)), ("paste", (7, 28)), ("ampy", (10, 34))],
    ids=["auto", "paste", "ampy"],
)
def test_power_cut_over_the_wire(faulty: Faulty, transport: str, places: tuple[int, ...]) -> None:
    held = [cut(faulty, operations, operations, transport) for operations in places]
    assert set(held) <= {"old", "new"}


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("transport", ["auto", "paste", "ampy"])
def test_power_cut_over_the_wire_everywhere(faulty: Faulty, transport: str) -> None:
    held = [cut(faulty, operations, operations, transport) for operations in range(80)]
    print(f"{len(held)} cuts during real updates over {transport}: {held.count('old')} old, {held.count('new')} new")
    assert set(held) <= {"old", "new"}


def test_port_unplugged(faulty: Faulty, tmp_path: Path) -> None:
    """The port goes away in the middle: one sentence, exit code 3, and the next run on the port's new name passes."""
    faulty.again()
    board = faulty.bench.board

    def listen(event: Event) -> None:
        if event.kind == "step" and event.data["name"] == "transfer":
            board.unplug()

    report = faulty.run("paste", listen)
    board.plug()
    assert (report.outcome, report.code, report.exit_code) == ("error", "port-lost", 3), report.message
    assert faulty.judge(report) in ("old", "new")


def test_verify_asks_again(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that came damaged is no verdict about the board."""
    faulty.again()
    original = StreamSession.audit
    answers = iter([False, True])

    def audit(self: StreamSession) -> dict[str, str]:
        if not next(answers):
            raise LinkBroken("repl-confused", "The board answered something else.", "")
        return original(self)

    monkeypatch.setattr(StreamSession, "audit", audit)
    report = verify(faulty.bench.port)
    assert report.outcome == "pass", report.message
