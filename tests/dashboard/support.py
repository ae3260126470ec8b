"""A line's day in a ledger, and a dashboard as its own process."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from provisioning.ledger.entry import CLAIM, GENESIS, INTENT, OUTCOME, Entry
from provisioning.ledger.store import Ledger, insert

HOSTILE = '<script>document.title="owned"</script><img src=x onerror=alert(1)>\u202e"\'&'
# How boards end, in turn: 12 of 16 pass.
ENDS = ["pass"] * 5 + ["readback"] + ["pass"] * 4 + ["no-answer"] + ["pass"] * 3 + ["wrong-chip", "readback"]
OUTCOMES = {"pass": "pass", "no-answer": "error"}


def mac_of(number: int) -> str:
    return f"24:0a:c4:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


def certificate_of(number: int) -> str:
    return f"{number * 2654435761 % 2**32:08x}" * 8


def fill(ledger: Ledger, boards: int, hours: float = 20.0, stations: int = 2) -> None:
    """`boards` attempts over the last `hours`, in one transaction; the last row is now. All of them have ended."""
    now = datetime.datetime.now(datetime.timezone.utc)
    ledger._current()

    def work(connection: Any) -> int:
        previous, seq = GENESIS, 0
        for number in range(boards):
            ended = now - datetime.timedelta(hours=hours) * ((boards - 1 - number) / max(1, boards - 1))
            code = ENDS[number % len(ENDS)]
            about = {
                "station": f"line-{number % stations + 1}",
                "operator": "kim",
                "port": f"/dev/ttyUSB{number // stations % 4}",
                "mac": mac_of(number),
                "device": f"ws-{number:05d}",
                "product": "weather-station",
                "certificate_sha256": certificate_of(number),
            }
            end = {"outcome": OUTCOMES.get(code, "fail"), "code": code, "message": f"It ended with {code}.", "job": "flash"}
            for kind, fields, before in ((CLAIM, about, 8.0), (INTENT, about, 6.0), (OUTCOME, {**about, **end}, 0.0)):
                seq += 1
                at = (ended - datetime.timedelta(seconds=before)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
                entry = Entry(seq, at, kind, f"{number:032x}", fields, previous)
                insert(connection, entry)
                previous = entry.hash
        return seq

    ledger._do(work, reading=False)


@contextmanager
def serving(location: str | Path, *arguments: str, environment: dict[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """`twinroot dashboard`: what it prints as it begins."""
    command = [sys.executable, "-m", "provisioning", "dashboard", "--json", "--port", "0", *arguments]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TWINROOT_LEDGER": str(location), **(environment or {})},
    )
    try:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield {**json.loads(line), "pid": process.pid, "process": process}
    finally:
        process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
