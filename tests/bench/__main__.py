"""`python -m tests.bench`: the tables of the README's performance section."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench import peers
from tests.bench.payload import contents, deflated_bytes, plain_bytes, reference, written_to
from tests.bench.tables import spread, table, target
from tests.bench.unchanged import unchanged

HOME = 115200
RATES = (115200, 230400, 460800, 921600, 2000000)
LATENCIES = (1.0, 4.0, 16.0)


def say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def wire_seconds(count: int) -> float:
    """8N1: ten bits a byte."""
    return count * 10 / HOME


def rates(runs: int) -> dict[int, list[dict[str, Any]]]:
    with peers.board(1.0) as on:
        return {rate: [peers.ours(on, rate) for _ in range(runs)] for rate in RATES}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-ampy", action="store_true", help="ampy takes 12 s a run")
    options = parser.parse_args()
    payload = reference()
    plain, deflated = wire_seconds(plain_bytes(payload)), wire_seconds(deflated_bytes(payload))
    say(f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    say(f"Payload: {plain_bytes(payload)} bytes in {len(contents(payload))} files, {deflated_bytes(payload)} deflated;")
    say(f"the wire alone at {HOME}: {plain:.2f} s plain, {deflated:.2f} s deflated. Medians of {options.runs} runs (spread), 1 ms turns.")
    say()
    mine = rates(options.runs)
    with tempfile.TemporaryDirectory() as place, peers.board(1.0) as on:
        files = written_to(payload, Path(place))
        theirs = {"mpremote cp": [peers.mpremote(on, files) for _ in range(options.runs)]}
        again = [peers.mpremote_again(on, files) for _ in range(options.runs)]
        if not options.no_ampy:
            theirs["ampy put"] = [peers.ampy(on, files) for _ in range(options.runs)]
    rows = [[f"twinroot, {rate}", spread([run["process"] for run in runs]), *_line(runs)] for rate, runs in mine.items()]
    rows += [[f"{name}, {HOME}", spread(values), "", "", "", ""] for name, values in theirs.items()]
    say(table(("tool, rate", "whole process, s", "port open, s", "bytes out", "turns", "resends"), rows))
    say()
    holds = targets(mine, theirs, plain, deflated)
    say()
    say(_latencies(options.runs))
    say()
    nothing = unchanged(options.runs)
    rows = [[name, spread([run["seconds"] for run in [*nothing]]), *_worst(nothing)] for name in ("twinroot update",)]
    rows.append(["mpremote cp (whole process)", spread(again), "", ""])
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


def targets(mine: dict[int, list[dict[str, Any]]], theirs: dict[str, list[float]], plain: float, deflated: float) -> bool:
    """The table of targets; whether all hold. Peers are compared as whole processes, the wire with the time the port is open."""
    whole = {rate: median(run["process"] for run in runs) for rate, runs in mine.items()}
    line = {rate: median(run["seconds"] for run in runs) for rate, runs in mine.items()}
    fast = min(line, key=lambda rate: line[rate])
    found = []
    limits = {"mpremote cp": (3.5, 10.0), "ampy put": (14.0, 40.0)}
    for name, values in theirs.items():
        for rate, limit in zip((HOME, fast), limits[name], strict=True):
            found.append(target(f"times faster than {name}, {rate} (processes)", median(values) / whole[rate], limit, at_least=True))
            found.append(target(f"times faster than {name}, {rate} (port open)", median(values) / line[rate], limit, at_least=True))
    for rate, (of_deflated, of_plain) in {HOME: (1.3, 0.65), fast: (0.5, 0.25)}.items():
        found.append(target(f"of the deflated bytes' time at {HOME}, {rate}", line[rate] / deflated, of_deflated))
        found.append(target(f"of the plain bytes' time at {HOME}, {rate}", line[rate] / plain, of_plain))
    say(table(("target", "measured", "wanted", ""), [row for row, _ in found]))
    return all(ok for _, ok in found)


def _latencies(runs: int) -> str:
    rows = []
    for latency in LATENCIES:
        with peers.board(latency) as on:
            cells = [spread([peers.ours(on, rate)["seconds"] for _ in range(runs)]) for rate in (HOME, 921600)]
        rows.append([f"{latency:g} ms", *cells])
    return table(("turn of the line", "115200, s", "921600, s"), rows)


if __name__ == "__main__":
    sys.exit(main())
