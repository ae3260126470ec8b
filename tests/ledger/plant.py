"""One station of a plant, as a process: its slots work through boards, and print what they did when they are done.

    python plant.py NAME SLOTS BOARDS SECONDS MACS-FROM        the ledger's URL comes on standard input

What is real is all that touches the ledger: claim, intent and outcome as `flash` makes them, with its patience. What is not is the board:
its serial part is a pause of SECONDS. Each slot is a process that was forked, as a station's are.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
import uuid

from provisioning.ledger import claims
from provisioning.ledger.entry import OUTCOME, sha256
from provisioning.ledger.patience import Patience
from provisioning.ledger.store import Ledger

DEVICES = [f"ws-{n:05d}" for n in range(4000)]


def say(**what: object) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")  # one write of a short line, so that lines of several processes do not mix


def slot(url: str, station: str, macs: list[str], seconds: float) -> None:
    for mac in macs:
        times: list[tuple[float, float]] = []

        def timed(work: object, *arguments: object) -> object:
            began = time.time()
            result = work(*arguments)  # type: ignore[operator]
            times.append((began, time.time()))  # noqa: B023  called in this round only
            return result

        # One Ledger for a board, as one worker of a station has.
        patience = Patience(600, lambda text: say(station=station, told=text))
        ledger = timed(lambda: Ledger.open(url, patience=patience))  # noqa: B023
        with ledger:  # type: ignore[attr-defined]
            attempt = uuid.uuid4().hex
            device = timed(claims.claim, ledger, attempt, mac, DEVICES, {"station": station})
            fields = {"mac": mac, "device": device, "station": station, "certificate_sha256": sha256(str(device))}
            timed(claims.intend, ledger, attempt, fields)
            time.sleep(seconds)  # the write, the start, the board's report
            timed(ledger.append, OUTCOME, attempt, {**fields, "outcome": "pass", "wrote": True})  # type: ignore[attr-defined]
        say(station=station, mac=mac, device=device, times=times)


def main() -> None:
    station, slots, boards, seconds, first = sys.argv[1], *(int(text) for text in sys.argv[2:4]), float(sys.argv[4]), int(sys.argv[5])
    url = sys.stdin.readline().strip()
    macs = [f"24:0a:c4:{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}" for n in range(first, first + boards)]
    Ledger.open(url).close()  # as a station does before its first board; what it loads, its workers have
    say(ready=station)
    context = multiprocessing.get_context("fork")
    working = [context.Process(target=slot, args=(url, station, macs[n::slots], seconds)) for n in range(slots)]
    for process in working:
        process.start()
    for process in working:
        process.join()
    sys.exit(max(process.exitcode or 0 for process in working))


if __name__ == "__main__":
    main()
