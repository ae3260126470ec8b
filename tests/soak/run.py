"""The run, and what must hold at its end."""

from __future__ import annotations

import random
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provisioning.ledger.chain_check import verify
from provisioning.ledger.entry import OUTCOME, RELEASE, Entry
from provisioning.ledger.store import Ledger
from tests.flash import products
from tests.soak.bench import Bench
from tests.soak.session import Session
from tests.support import postgres

_SPARE = 100  # devices more than boards: one that is put aside keeps its number
_GROWTH = 1.05  # of the station's memory from its third round to its last
_ROUNDS = 10  # of a session whose memory counts


@dataclass(frozen=True)
class Size:
    """How long a run is."""

    slots: int = 8
    boards: int = 500
    every: int = 20  # each of so many boards has a fault
    kills: int = 20
    restarts: int = 5


@dataclass
class Soak:
    """One run in a folder of its own."""

    size: Size
    folder: Path
    server: postgres.Server
    say: Callable[[str], None]
    seed: int = 1
    kills: int = 0
    restarts: int = 0
    rounds: int = 0
    results: list[dict[str, Any]] = field(default_factory=list)  # rows of the sessions that came to their end
    memory: list[list[int]] = field(default_factory=list)

    def run(self) -> dict[str, Any]:
        """All of it; asserts what must hold, returns figures."""
        by = random.Random(self.seed)
        made = products.make(self.folder, devices=self.size.boards + _SPARE, keep_key=False)
        url = self.server.url(self.server.database())
        environment = {**made.environment(), "TWINROOT_LEDGER": url}
        bench = Bench(self.size.slots, self.size.boards, self.size.every, by, self.say)
        began = time.monotonic()
        try:
            bench.fill()
            while bench.units:
                self._session(bench, made, environment, by)
                bench.fill()
        finally:
            bench.close()
            if self.server.stopped:
                self.server.start()
        took = time.monotonic() - began
        with Ledger.open(url, create=False) as ledger:
            verdict, rows = verify(ledger.rows(), {}), list(ledger.entries())
        assert verdict.ok, verdict.faults[:3]
        return {**self._figures(bench, took), **self._holds(bench, rows)}

    def _session(self, bench: Bench, made: products.Made, environment: dict[str, str], by: random.Random) -> None:
        """A station until it is killed, or has fewer boards than slots that it was started with."""
        ports = [argument for unit in bench.units for argument in ("--port", unit.board.port)]
        session = Session([str(made.product), "--devices", str(made.devices), "--rounds", "100000", *ports], environment)
        # Killed at any word; the kills are over when half of the boards are done, so that there is a long session for the memory.
        kill_at = by.randrange(4, 14 * self.size.slots) if self.kills < self.size.kills else None
        since = 0.0
        for count, line in enumerate(session.lines()):
            if self.server.stopped and (line is None or "is away, waiting" in line or time.monotonic() - since > 5.0):
                self.server.start()
            if line is None:
                self.rounds += 1
                bench.ended(session.said)
                bench.fill()
                going_on = len(bench.units) * 2 == len(ports)
                session.answer("y" if going_on else "n")
            elif count == kill_at:
                self.kills += 1
                self.say(f"{bench.done} boards done: station killed at {line!r}")
                session.kill()
            elif line.endswith(": write") and self._is_time(bench) and not self.server.stopped:
                self.restarts += 1
                since = time.monotonic()
                how = signal.SIGINT if self.restarts % 2 else signal.SIGQUIT
                self.say(f"{bench.done} boards done: server {'stopped' if how == signal.SIGINT else 'crashed'}")
                self.server.stop(how)
        if self.server.stopped:
            self.server.start()
        result = session.close()
        if result:
            self.results += result["rows"]
            self.memory.append(session.rss)
        elif session.process.returncode != -signal.SIGKILL:
            raise AssertionError(f"the station ended by itself: {session.process.returncode}, {session.said}")

    def _is_time(self, bench: Bench) -> bool:
        return self.restarts < self.size.restarts and bench.done >= self.size.boards * (self.restarts + 0.5) / self.size.restarts / 1.2

    def _holds(self, bench: Bench, rows: list[Entry]) -> dict[str, Any]:
        """Each board is in the ledger with one end, which is the one that the bench saw."""
        assert bench.done == self.size.boards and self.kills == self.size.kills and self.restarts == self.size.restarts
        ends = [row for row in rows if row.kind == OUTCOME]
        final = {row.fields["mac"]: row for row in ends}
        passed = {mac for mac, row in final.items() if row.fields["outcome"] == "pass"}
        assert set(final) == {*bench.passed, *bench.aside}, "every board has a final row, and nobody else"
        assert passed == set(bench.passed), "the ledger's yield is the bench's"
        assert len(passed) + len(bench.aside) == self.size.boards
        twice = [attempt for attempt, times in Counter(row.attempt for row in ends).items() if times > 1]
        assert not twice, "an attempt ends once"
        begun = {row.attempt: row.fields.get("mac") for row in rows if row.kind not in (OUTCOME, RELEASE)}
        unended = {mac for attempt, mac in begun.items() if attempt not in {row.attempt for row in ends}}
        assert not unended & passed, "what was interrupted has its end in the ledger, too"
        devices = Counter(final[mac].fields["device"] for mac in passed)
        assert len(devices) == len(passed), "no identity twice"
        each = {(row.fields["mac"], row.fields["device"]) for row in ends if row.fields.get("wrote")}
        assert len(each) == len({mac for mac, _ in each}) == len({device for _, device in each}), "a board is one device for good"
        promised = {row["mac"] for row in self.results if row["outcome"] == "pass"}
        assert promised <= passed, "no PASS was said that is not in the ledger"
        for rss in self.memory:
            if len(rss) >= _ROUNDS:
                assert max(rss[2:]) <= rss[2] * _GROWTH, rss
        return {
            "rows": len(rows),
            "attempts": len({row.attempt for row in ends}),
            "settled after a kill": sum(bool(row.fields.get("settles")) for row in ends),
        }

    def _figures(self, bench: Bench, took: float) -> dict[str, Any]:
        longest = max(self.memory, key=len, default=[])
        return {
            "boards": self.size.boards,
            "passed": len(bench.passed),
            "put aside": sorted(fault or "no fault" for fault in bench.aside.values()),
            "passed with a fault": sum(bool(fault) for fault in bench.passed.values()),
            "kills": self.kills,
            "restarts of the server": self.restarts,
            "rounds": self.rounds,
            "seconds": round(took),
            "station's memory, longest session (rounds, MB first, median, most)": [
                len(longest),
                *(round(kb / 1024, 1) for kb in ((longest[0], statistics.median(longest), max(longest)) if longest else ())),
            ],
        }
