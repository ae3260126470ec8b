"""`python -m tests.virtual.conformance [--esptool CHECKOUT [--chip NAME ...]] [--micropython CHECKOUT]`: the score of the virtual board."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from provisioning.chips import VIRTUAL
from provisioning.errors import TwinrootError
from provisioning.virtual.facts import EXTRA_ESPTOOL
from tests.virtual.conformance import checkout as suite
from tests.virtual.conformance.bench import Bench
from tests.virtual.conformance.explained import EXPLAINED
from tests.virtual.conformance.micropython import run as micropython
from tests.virtual.conformance.micropython.checkout import Checkout
from tests.virtual.conformance.score import Score, name_of

BOARDS = 40
FEW = 4


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.virtual.conformance", description=__doc__)
    parser.add_argument("--esptool", type=Path, help="a checkout of github.com/espressif/esptool")
    parser.add_argument("--micropython", type=Path, help="a checkout of github.com/micropython/micropython")
    parser.add_argument("--python", help="a Python with an esptool 5.x and pytest; without it a temporary one gets the checkout's esptool")
    parser.add_argument("--chip", action="append", choices=[*sorted(VIRTUAL), "all"], help="may be repeated; without it esp32")
    parser.add_argument("--boards", type=int, help=f"at once; without it {BOARDS} for esptool, whose clients mostly sleep")
    parser.add_argument("--paced", action="store_true", help="wires with a rate; the suite is about the protocol, and takes longer so")
    parser.add_argument("--only", default="", help="tests whose name contains this")
    parser.add_argument("--log", type=Path, help="folder for what the suites print")
    parser.add_argument("--json", action="store_true", help="an object for each chip, and one for MicroPython")
    return parser.parse_args()


def main() -> int:
    arguments = options()
    if arguments.esptool is None and arguments.micropython is None:
        sys.stderr.write(
            "error: no checkout is named\nGive ESPTOOL=FOLDER, MICROPYTHON=FOLDER or both to make, or --esptool, --micropython.\n"
        )
        return 2
    if arguments.log is not None:
        arguments.log = arguments.log.resolve()
    statuses = [run_esptool(arguments)] if arguments.esptool else []
    statuses += [run_micropython(arguments)] if arguments.micropython else []
    return max(statuses)


def run_micropython(arguments: argparse.Namespace) -> int:
    checkout = Checkout(arguments.micropython.resolve())
    if checkout.missing:
        sys.stderr.write(f"error: {arguments.micropython} is not a checkout of MicroPython: it has no {checkout.missing}\n")
        return 2
    score = micropython.run(checkout, arguments.boards or micropython.BOARDS, arguments.paced, arguments.only, arguments.log)
    print(score.json() if arguments.json else score.text(), flush=True)
    return 1 if score.unexpected else 0


def run_esptool(arguments: argparse.Namespace) -> int:
    checkout = arguments.esptool.resolve()
    if not (checkout / "test" / suite.SUITE).exists():
        sys.stderr.write(f"error: {arguments.esptool} is not a checkout of esptool: it has no test/{suite.SUITE}\n")
        return 2
    asked = arguments.chip or ["esp32"]
    chips = sorted(VIRTUAL) if "all" in asked else list(dict.fromkeys(asked))
    # The checkout's flasher stub is a flasher stub too.
    os.environ[EXTRA_ESPTOOL] = str(checkout)
    good = True
    with tempfile.TemporaryDirectory(prefix="conformance-") as temporary:
        folder = Path(temporary)
        log = arguments.log or folder
        log.mkdir(parents=True, exist_ok=True)
        if arguments.python is None:
            sys.stderr.write("Installing the checkout's esptool in a temporary environment ...\n")
        python = arguments.python or suite.environment(checkout, folder)
        weight = suite.weights(checkout / "test" / suite.SUITE)
        for chip in chips:
            began = time.monotonic()
            collected = suite.work_copy(checkout, folder / chip)
            tests = [test for test in suite.applicable(python, chip, collected) if arguments.only in test]
            if not tests:
                raise SystemExit(f"error: no test's name contains {arguments.only!r}\nLeave --only out to run all.")
            first = Bench(collected, python, chip, arguments.boards or BOARDS, arguments.paced, folder, chip, log).run(tests, weight)
            # esptool gives some answers a tenth of a second: a busy computer may miss it. Both tries are printed.
            failed = {result.test for result in first if result.outcome == "failed"} - set(EXPLAINED)
            once_more = [test for test in tests if name_of(test) in failed]
            again = (
                Bench(collected, python, chip, FEW, arguments.paced, folder, f"{chip}-again", log).run(once_more, weight) if failed else []
            )
            score = Score.of(chip, first, again, time.monotonic() - began)
            print(score.json() if arguments.json else score.text(), flush=True)
            good = good and score.good
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except TwinrootError as error:
        sys.stderr.write(f"error: {error.message}\n  next: {error.hint}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
