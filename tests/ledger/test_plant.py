"""Four stations on one server that is stopped, and crashes, and the network of one station cut: one truth at the end.

The boards are simulated (`plant.py` says what is real), since only the ledger is on trial here.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from provisioning.ledger.chain_check import verify
from provisioning.ledger.entry import OUTCOME
from provisioning.ledger.patience import Patience
from provisioning.ledger.server import IDLE_SECONDS
from provisioning.ledger.store import Ledger
from tests.support import postgres

STATIONS = 4
# Seconds that a step may take without an outage, and beyond one: a connection is tried for 3 s, after a pause of up to 2 s; the rest is for
# other programs that this computer runs.
SLACK = 10.0


class Ruler:
    """What an append takes on this computer where nobody else writes: once a second, in a database of its own on the same server."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._end = threading.Event()
        self._times: list[Times] = []
        self._thread = threading.Thread(target=self._measure, daemon=True)
        self._thread.start()

    def _measure(self) -> None:
        with Ledger.open(self._url, patience=Patience(600)) as ledger:
            while not self._end.wait(1.0):
                began = time.time()
                ledger.append(OUTCOME, "a" * 32, {"mac": "24:0a:c4:00:00:01", "outcome": "pass"})
                self._times.append((began, time.time()))

    def seconds(self, outages: Iterable[Times]) -> float:
        """The mean, outages left out."""
        self._end.set()
        self._thread.join(60)
        found = [length(one) for one in set(self._times) - hit(self._times, outages)]
        return sum(found) / max(len(found), 1)


ROOT = Path(__file__).resolve().parents[2]


class Plant:
    """The stations, and what they have said so far."""

    def __init__(self, urls: list[str], slots: int, boards: int, seconds: float) -> None:
        self.boards: list[dict[str, Any]] = []
        self.told: list[str] = []
        self.ready = 0
        self.errors = ""
        self._more = threading.Condition()
        share = boards // STATIONS
        self.processes = [
            subprocess.Popen(
                [
                    sys.executable,
                    str(Path(__file__).with_name("plant.py")),
                    f"station{n}",
                    str(slots),
                    str(share),
                    str(seconds),
                    str(n * share),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                start_new_session=True,  # its slots are to end with it
            )
            for n in range(STATIONS)
        ]
        for process, url in zip(self.processes, urls, strict=True):
            assert process.stdin is not None
            process.stdin.write(url + "\n")
            process.stdin.flush()
        self._threads = [threading.Thread(target=work, args=(p,)) for p in self.processes for work in (self._hear, self._complain)]
        for thread in self._threads:
            thread.start()

    def _hear(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said = json.loads(line)
            with self._more:
                if "ready" in said:
                    self.ready += 1
                else:
                    self.told.append(said["told"]) if "told" in said else self.boards.append(said)
                self._more.notify_all()
        process.wait()  # its output ends before it does
        with self._more:
            self._more.notify_all()

    def _complain(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        said = process.stderr.read()  # by itself: `+=` would forget what another thread adds meanwhile
        with self._more:
            self.errors += said

    def until(self, count: int) -> None:
        """Every station is at work, and so many boards are done: one that has not begun waits for no server."""

        def done() -> bool:
            return self.ready == STATIONS and len(self.boards) >= count

        with self._more:
            assert self._more.wait_for(lambda: done() or any(p.poll() for p in self.processes), 600)
            assert done(), self.errors[-3000:]

    def end(self) -> None:
        for thread in self._threads:
            thread.join(600)
        assert [process.wait(60) for process in self.processes] == [0] * STATIONS, self.errors[-3000:]

    def kill(self) -> None:
        """The stations with their slots, which would wait for ten minutes for a server that is gone, and this process for them."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for thread in self._threads:
            thread.join()


Times = tuple[float, float]  # of the clock: from, to


def outage(work: Callable[[], object], seconds: float, back: Callable[[], object]) -> Times:
    """From `work` to the end of `back`, at least `seconds` apart."""
    began = time.time()
    work()
    threading.Event().wait(seconds)  # the outage is this long
    back()
    return began, time.time()


def length(span: Times) -> float:
    return span[1] - span[0]


def longest(spans: Iterable[Times]) -> float:
    return max((length(span) for span in spans), default=0.0)


def hit(steps: Iterable[Times], outages: Iterable[Times]) -> set[Times]:
    """The steps that an outage had a part in."""
    return {step for step in steps if any(step[0] <= end and began <= step[1] for began, end in outages)}


def shift(server: postgres.Server, slots: int, boards: int, seconds: float, restart: float, cut: float) -> dict[str, object]:
    """A shift with its three accidents; asserts what must hold, returns figures."""
    name = server.database()
    url = server.url(name)
    Ledger.open(url).close()
    proxy = postgres.Proxy(server.port)
    cut_off = f"station{STATIONS - 1}"
    ruler = Ruler(server.url(server.database()))
    began = time.monotonic()
    plant = Plant([url] * (STATIONS - 1) + [server.url(name, port=proxy.port)], slots, boards, seconds)
    try:
        plant.until(boards // 8)
        first = outage(server.stop, restart, server.start)
        plant.until(3 * boards // 8)
        dark = outage(proxy.cut, cut, proxy.mend)
        plant.until(6 * boards // 8)
        second = outage(lambda: server.stop(signal.SIGQUIT), restart, server.start)
        plant.end()
    finally:
        plant.kill()
        proxy.close()
        if server.stopped:
            server.start()
        ruler.seconds([])
    took = time.monotonic() - began

    with Ledger.open(url, create=False) as ledger:
        verdict, rows = verify(ledger.rows(), {}), list(ledger.entries())
    assert verdict.ok and verdict.rows == 3 * boards, verdict.faults[:3]
    by_attempt = Counter((row.attempt, row.kind) for row in rows)
    assert set(by_attempt.values()) == {1} and len(by_attempt) == 3 * boards, "each row once, whatever was cut"
    final = {row.fields["mac"]: row for row in rows if row.kind == "outcome"}
    assert len(final) == boards and {row.fields["outcome"] for row in final.values()} == {"pass"}, "one final row a board"
    assert len({row.fields["device"] for row in final.values()}) == boards, "no identity twice"
    assert {board["mac"]: board["device"] for board in plant.boards} == {mac: row.fields["device"] for mac, row in final.items()}
    assert any("is away, waiting up to" in text for text in plant.told) and any("is back after" in text for text in plant.told)
    assert "kanary" not in plant.errors + "".join(plant.told)

    # Where every slot wants its turn at once, the last one waits for all others, each as long as an append takes here alone.
    alone = ruler.seconds([first, second])
    slack = SLACK + STATIONS * slots * alone
    figures: dict[str, object] = {}
    for station in sorted({board["station"] for board in plant.boards}):
        steps = [(start, end) for board in plant.boards if board["station"] == station for start, end in board["times"]]
        outages = [first, second, dark] if station == cut_off else [first, second]
        with_outage = hit(steps, outages)
        # Each slot of the station that is cut off may be waiting for its turn; it holds the others up then until the server ends it.
        beside = hit(set(steps) - with_outage, [dark])
        waited, held_up, otherwise = longest(with_outage), longest(beside), longest(set(steps) - with_outage - beside)
        assert waited <= longest(outages) + slack, (station, waited, held_up, otherwise, slack, outages)
        assert held_up <= min(length(dark), slots * IDLE_SECONDS) + slack, (station, waited, held_up, otherwise, slack, outages)
        assert otherwise <= slack, (station, waited, held_up, otherwise, slack, outages)
        figures[station] = [round(waited, 1), round(held_up, 1), round(otherwise, 1)]
    every = sorted(end - start for board in plant.boards for start, end in board["times"])
    return {
        "boards": boards,
        "seconds": round(took, 1),
        "outages: stop, crash, network (s)": [round(length(each), 1) for each in (first, second, dark)],
        "longest step with an outage, beside another station's, without (s)": figures,
        "append by itself, slack (s)": [round(alone, 2), round(slack, 1)],
        "median, 99th percentile of a step (ms)": [round(1000 * every[int(len(every) * part)], 1) for part in (0.5, 0.99)],
    }


def test_four_stations_a_shift(server: postgres.Server) -> None:
    print(shift(server, 2, 40, 0.2, restart=0.5, cut=2.0))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_four_stations_a_day(server: postgres.Server, capsys: pytest.CaptureFixture[str]) -> None:
    """8 slots each, 2,000 boards; outages long enough that silence is seen, hung up and told. A board takes ten seconds: with less it is
    a trial of this computer's processors."""
    figures = shift(server, 8, 2000, 10.0, restart=5.0, cut=30.0)
    with capsys.disabled():
        print(f"\n{figures}")
