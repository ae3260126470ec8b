"""`python -m tests.drill`: the drill with 200 devices on a PostgreSQL server, as `make drill`. Exit code 1 when something did not hold."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.drill import drill
from tests.support import postgres


def say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=__doc__)
    parser.add_argument("--boards", type=int, default=drill.LONG.boards)
    size = replace(drill.LONG, boards=parser.parse_args().boards)
    binaries = postgres.binaries()
    server = postgres.Server(binaries) if binaries else None
    say(f"{size.boards} devices, ledger on {'PostgreSQL' if server else 'SQLite: no PostgreSQL server is installed here'}")
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="twinroot-drill-") as folder:
            ledger = server.url(server.database()) if server else None
            with drill.prepared(Path(folder), size, ledger, say) as fleet:
                fleet.go()
    except AssertionError as error:
        say(f"DOES NOT HOLD: {error}")
        raise
    finally:
        if server:
            server.remove()
    say(f"whole run            {time.monotonic() - began:6.1f} s, load {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
