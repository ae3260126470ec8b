"""`python -m tests.bench`: the tables of the README's performance section. Exit code 1 when a target is missed."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from provisioning.virtual.nor_flash import PROFILES
from tests.bench import targets
from tests.bench.board import HOME_RATE, board
from tests.bench.jobs import JOBS
from tests.bench.payload import deflated_bytes, plain_bytes, reference
from tests.bench.peers import PEERS
from tests.bench.product import Products, count
from tests.bench.rounds import MODULES, SIX, TREE, Rounds, six_files
from tests.bench.tables import COUNTED, counts, spread, table

LATENCIES = (1.0, 4.0, 16.0)
QUICK = 2  # rounds


def say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} rounds, without ampy, which takes 12 s a round, at 1 ms a turn only")
    parser.add_argument("--flash-timing", choices=tuple(PROFILES), default="typical")
    parser.add_argument("--without", action="append", default=[], choices=[peer.name.split()[0] for peer in PEERS], help="leave a peer out")
    options = parser.parse_args()
    if options.quick:
        options.rounds = QUICK
        options.without.append("ampy")
    if options.rounds < 1:
        parser.error("--rounds: at least one")
    return options


def main() -> int:
    options = _options()
    peers = tuple(peer for peer in PEERS if peer.name.split()[0] not in options.without)
    started = time.monotonic()
    say(f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    say(f"Virtual ESP32, paced UART, 1 ms a turn of direction, --flash-timing {options.flash_timing}.")
    say(f"{options.rounds} rounds: medians (spread) of the whole process, flash operations of the round that had most.")
    say("Peers: " + ", ".join(f"{name} {version(name)}" for name in ("mpremote", "mpytool", "adafruit-ampy")))
    with ExitStack() as undo:
        place = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        products = Products(place, undo)
        on = undo.enter_context(board(LATENCIES[0], options.flash_timing))
        found = Rounds(on, products, six_files(place / "six"), peers)
        for _ in range(options.rounds):
            found.round()
        say(f"Example product: {count(products.files)} files, {count(products.modules)} with the package's modules as files.")
        say(f"Six files: {_wire()}.")
        for title, files in (("Example product", TREE), ("Modules as files", MODULES), ("Six files", SIX)):
            say()
            say(_costs(found, title, files))
        rows, holds = targets.rows(found)
        say()
        say(table(("target", "measured", "wanted", ""), rows))
        if not options.quick:
            say()
            say(_latencies(options.rounds, options.flash_timing, products))
    say(f"\n{time.monotonic() - started:.0f} s in all, load {os.getloadavg()[0]:.1f} at the end.")
    return 0 if holds else 1


def _wire() -> str:
    """8N1: ten bits a byte."""
    payload = reference()
    plain, deflated = plain_bytes(payload), deflated_bytes(payload)
    seconds = [count * 10 / HOME_RATE for count in (plain, deflated)]
    return f"{plain} bytes, {deflated} deflated; the wire alone at {HOME_RATE} needs {seconds[0]:.2f} s, {seconds[1]:.2f} s"


def _costs(found: Rounds, title: str, files: str) -> str:
    rows = []
    for key, costs in found.costs.items():
        if key.files == files:
            rate = str(key.rate) if all(job.on_wire for job in JOBS if job.name == key.what) else ""
            rows.append([key.what, rate, spread([cost.seconds for cost in costs]), *counts(costs)])
    return table((title, "rate", "s", *COUNTED), rows)


def _latencies(rounds: int, timing: str, products: Products) -> str:
    """The first update on adapters that take longer to turn the line."""
    rows = []
    for latency in LATENCIES:
        with board(latency, timing) as on:
            cells = [spread([JOBS[0].run(on, products, rate).seconds for _ in range(rounds)]) for rate in (HOME_RATE, 921600)]
        rows.append([f"{latency:g} ms", *cells])
    return table((f"{JOBS[0].name}, turn of the line", "115200, s", "921600, s"), rows)


if __name__ == "__main__":
    sys.exit(main())
