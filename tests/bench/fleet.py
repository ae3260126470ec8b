"""`python -m tests.bench.fleet`: a fleet of 100,000 devices with evidence of every kind, on both stores: what each command needs.

Each command is the real one, as a process; what it needed most of memory is what the system says of it when it has ended. Exit code 1 when
a target is missed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path

from provisioning.ledger.store import Ledger
from provisioning.ledger.table import ENTRIES
from tests.support import fleet_lines, postgres
from tests.support.command import twinroot_command

SECONDS, MEGABYTES = 10.0, 500.0  # wanted of what reads


@dataclass(frozen=True)
class Run:
    """`seconds` of the clock, `work` of the processor, `memory` in MB; `out`: how its output begins."""

    code: int
    seconds: float
    work: float
    memory: float
    out: str


def run(*command: object, env: dict[str, str] | None = None) -> Run:
    """One process and what it needed."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.monotonic()
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=err, env={**os.environ, **(env or {})})
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode not in (0, 1, 2):
            raise RuntimeError(err.read().decode())
        return Run(process.returncode, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, out.read(20_000).decode())


def fill(location: str, count: int, now: int) -> None:
    """Rows as a line wrote them, many in a transaction."""
    entries = fleet_lines.delivered(count, now)
    with Ledger.open(location) as ledger:
        while page := list(islice(entries, 5000)):
            rows = [{"seq": one.seq, "hash": one.hash, "body": one.canonical(), **one.copies()} for one in page]
            with ledger._engine.begin() as connection:
                connection.execute(ENTRIES.insert(), rows)


def product(folder: Path, count: int, now: int) -> Path:
    """The product with its list of devices, and health.jsonl beside it."""
    file = folder / "product.yaml"
    file.write_text(fleet_lines.PRODUCT)
    (folder / "devices.csv").write_text(fleet_lines.csv(count))
    (folder / "health.jsonl").write_text(fleet_lines.lines(count, now))
    return file


def measured(folder: Path, location: str) -> Iterator[tuple[str, bool, Run]]:
    """(what, whether it has a target, what it needed)."""
    file = folder / "product.yaml"
    env = {"TWINROOT_LEDGER": location}
    collect = twinroot_command("migrate", "collect", file, "--health", folder / "health.jsonl")
    yield "collect: list, ledger, health.jsonl", False, run(*collect, env=env)
    yield "collect once more", False, run(*collect, env=env)
    for what, command in {
        "status": ("status", file),
        "status --devices --json": ("status", file, "--devices", "--json"),
        "status --device": ("status", file, "--device", fleet_lines.name(7)),
        "plan --next": ("plan", file, "--next", "--out", folder / "next.yaml"),
        "retire --dry-run": ("retire", fleet_lines.G5, file, "--dry-run"),
    }.items():
        yield what, True, run(*twinroot_command("migrate", *command), env=env)


def apart(work: Callable[..., object], *arguments: object) -> None:
    """In a process of its own: what a process needed is counted to those that it starts, too."""
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError("the fleet could not be made")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fleet", description=__doc__)
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--show", action="store_true", help="print what status says")
    options = parser.parse_args()
    now = int(time.time())
    print(f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    missed = False
    with ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        apart(product, folder, options.devices, now)
        places = {"SQLite": str(folder / "ledger.sqlite")}
        binaries = postgres.binaries()
        if binaries is not None:
            server = postgres.Server(binaries)
            undo.callback(server.remove)
            places["PostgreSQL"] = server.url(server.database())
        print(f"{options.devices} devices. Wanted of what reads: {SECONDS:.0f} s, {MEGABYTES:.0f} MB.\n")
        print("| | s | s of processor | MB |\n| --- | ---: | ---: | ---: |")
        for store, location in places.items():
            apart(fill, location, options.devices, now)
            for what, wanted, cost in measured(folder, location):
                missed |= wanted and (cost.seconds > SECONDS or cost.memory > MEGABYTES)
                print(f"| {store}: {what} | {cost.seconds:.1f} | {cost.work:.1f} | {cost.memory:.0f} |", flush=True)
                if options.show and what == "status":
                    print(cost.out)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
