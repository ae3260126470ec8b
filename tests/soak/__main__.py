"""`python -m tests.soak`: the long run, as the README of a release quotes it. Exit code 1 when something did not hold."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import fields
from pathlib import Path

from tests.soak.run import Size, Soak
from tests.support import postgres


def say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    for each in fields(Size):
        parser.add_argument(f"--{each.name}", type=int, default=each.default)
    parser.add_argument("--seed", type=int, default=1)
    options = vars(parser.parse_args())
    seed = options.pop("seed")
    binaries = postgres.binaries()
    if binaries is None:
        say("No PostgreSQL server is installed here: apt-get install postgresql.")
        return 3
    server = postgres.Server(binaries)
    try:
        with tempfile.TemporaryDirectory(prefix="twinroot-soak-") as folder:
            figures = Soak(Size(**options), Path(folder) / "p", server, say, seed).run()
    except AssertionError as error:
        say(f"DOES NOT HOLD: {error}")
        raise
    finally:
        server.remove()
    sys.stdout.write(json.dumps({**figures, "load": round(os.getloadavg()[0], 1)}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
