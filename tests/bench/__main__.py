"""`python -m tests.bench`: the tables of the README's performance section."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tests.bench import peers
from tests.bench.payload import contents, deflated_bytes, plain_bytes, reference, written_to
from tests.bench.product import example, update
from tests.bench.tables import spread, table, target
from tests.bench.unchanged import unchanged

HOME = 115200
RATES = (115200, 230400, 460800, 921600, 2000000)
FAST = RATES[-1]
LATENCIES = (1.0, 4.0, 16.0)


def say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def wire_seconds(count: int) -> float:
    """8N1: ten bits a byte."""
    return count * 10 / HOME


class Rounds:
    """Every round measures each of us once on the same board, so that what else the computer does meets all alike."""

    def __init__(self, runs: int, with_ampy: bool) -> None:
        self.mine: dict[int, list[dict[str, Any]]] = {rate: [] for rate in RATES}
        self.theirs: dict[str, list[float]] = {"mpremote cp": [], **({"ampy put": []} if with_ampy else {})}
        self.again: list[float] = []
        self.updates: dict[int, list[dict[str, Any]]] = {rate: [] for rate in (HOME, FAST)}
        with tempfile.TemporaryDirectory() as place, peers.board(1.0) as on:
            files = written_to(reference(), Path(place))
            product = example(Path(place))
            peers.ours(on, FAST)
            update(on, product, FAST)
            for _ in range(runs):
                self._round(on, files, product)

    def _round(self, on: peers.Board, files: list[Path], product: Path) -> None:
        for rate in RATES:
            self.mine[rate].append(peers.ours(on, rate))
        self.theirs["mpremote cp"].append(peers.mpremote(on, files))
        self.again.append(peers.mpremote_again(on, files))
        if "ampy put" in self.theirs:
            self.theirs["ampy put"].append(peers.ampy(on, files))
        for rate in self.updates:
            self.updates[rate].append(update(on, product, rate))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-ampy", action="store_true", help="ampy takes 12 s a run")
    options = parser.parse_args()
    payload = reference()
    plain, deflated = wire_seconds(plain_bytes(payload)), wire_seconds(deflated_bytes(payload))
    say(f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    say(f"Payload: {plain_bytes(payload)} bytes in {len(contents(payload))} files, {deflated_bytes(payload)} deflated;")
    say(f"the wire alone at {HOME}: {plain:.2f} s plain, {deflated:.2f} s deflated. Medians of {options.runs} rounds (spread), 1 ms turns.")
    say()
    found = Rounds(options.runs, not options.no_ampy)
    rows = [[f"twinroot, {rate}", spread([run["process"] for run in runs]), *_line(runs)] for rate, runs in found.mine.items()]
    rows += [[f"{name}, {HOME}", spread(values), "", "", "", ""] for name, values in found.theirs.items()]
    say(table(("tool, rate", "whole process, s", "port open, s", "bytes out", "turns", "resends"), rows))
    say()
    holds = targets(found, plain, deflated)
    say()
    say(_updates(found))
    say()
    say(_latencies(options.runs))
    say()
    nothing = unchanged(options.runs)
    rows = [[name, spread([run["seconds"] for run in [*nothing]]), *_worst(nothing)] for name in ("twinroot update",)]
    rows.append(["mpremote cp (whole process)", spread(found.again), "", ""])
    say(table(("nothing changed, 115200", "s", "turns", "flash writes"), rows))
    return 0 if holds else 1


def _line(runs: list[dict[str, Any]]) -> list[str]:
    return [
        spread([run["seconds"] for run in runs]),
        str(max(run["sent"] for run in runs)),
        str(max(run["turns"] for run in runs)),
        str(sum(run["resends"] for run in runs)),
    ]


def _worst(runs: list[dict[str, Any]]) -> list[str]:
    return [str(max(run["turns"] for run in runs)), str(max(run["writes"] for run in runs))]


def _updates(found: Rounds) -> str:
    """The whole command on the example product, which is larger: with the board's restart and own report, and without."""
    rows = []
    for rate, runs in found.updates.items():
        cells = [spread([run[name] for run in runs]) for name in ("process", "before")]
        rows.append([f"{rate}", *cells, str(max(run["sent"] for run in runs)), str(runs[0]["files"])])
    return table(("twinroot update, example product", "whole process, s", "until the commit, s", "bytes out", "files"), rows)


def targets(found: Rounds, plain: float, deflated: float) -> bool:
    """The table of targets; whether all hold. Peers are compared round by round, the wire with the time the port is open."""
    rows = []
    limits = {"mpremote cp": (3.5, 10.0), "ampy put": (14.0, 40.0)}
    for name, values in found.theirs.items():
        for rate, limit in zip((HOME, FAST), limits[name], strict=True):
            for what, key in (("processes", "process"), ("port open", "seconds")):
                ratios = [theirs / ours[key] for theirs, ours in zip(values, found.mine[rate], strict=True)]
                rows.append(target(f"times faster than {name}, {rate} ({what})", ratios, limit, at_least=True))
    for rate, (of_deflated, of_plain) in {HOME: (1.3, 0.65), FAST: (0.5, 0.25)}.items():
        line = [run["seconds"] for run in found.mine[rate]]
        rows.append(target(f"of the deflated bytes' time at {HOME}, {rate}", [seconds / deflated for seconds in line], of_deflated))
        rows.append(target(f"of the plain bytes' time at {HOME}, {rate}", [seconds / plain for seconds in line], of_plain))
    say(table(("target", "measured", "wanted", ""), [row for row, _ in rows]))
    return all(ok for _, ok in rows)


def _latencies(runs: int) -> str:
    rows = []
    for latency in LATENCIES:
        with peers.board(latency) as on:
            cells = [spread([peers.ours(on, rate)["seconds"] for _ in range(runs)]) for rate in (HOME, 921600)]
        rows.append([f"{latency:g} ms", *cells])
    return table(("turn of the line", "115200, s", "921600, s"), rows)


if __name__ == "__main__":
    sys.exit(main())
