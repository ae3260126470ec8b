"""`python -m tests.silicon --qemu DIR FIRMWARE…`: every job on emulated chips that run stock images, beside mpremote, as a table.

Exit code 0: every row passed. 1: one failed. 2: an argument is wrong. 3: the emulator let a row come to no end.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from provisioning.errors import TwinrootError
from tests.bench.tables import spread, table
from tests.silicon import images
from tests.silicon.jobs import ROWS
from tests.silicon.matrix import Line, run

_HEAD = ("image", "job", "passed", "seconds", "mpremote", "seen")


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.silicon", description=__doc__)
    parser.add_argument("firmware", nargs="+", type=Path, help="images, each a whole one (.bin)")
    parser.add_argument("--qemu", type=Path, required=True, help="folder of a QEMU with Espressif's chips")
    parser.add_argument("--rows", default=",".join(ROWS), help=f"some of {','.join(ROWS)}")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each row")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="without mpremote and esptool")
    parser.add_argument("--json", action="store_true", help="an object for each row, as it is measured")
    options = parser.parse_args(arguments)
    options.rows = options.rows.split(",")
    unknown = [name for name in options.rows if name not in ROWS]
    if unknown:
        parser.error(f"--rows: {', '.join(unknown)} is none of {', '.join(ROWS)}")
    if options.repeat < 1:
        parser.error("--repeat: at least one")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    found = [images.of(file) for file in options.firmware]
    began = time.monotonic()
    lines: list[Line] = []
    for image in found:
        for line in run(image, options.qemu, options.rows, options.repeat, options.peers):
            lines.append(line)
            if options.json:
                print(json.dumps(line.as_dict()), flush=True)
            else:
                print(f"{line.image}: {line.title}: {line.outcome} {' '.join(_seen(line).split())[:200]}", file=sys.stderr, flush=True)
    if not options.json:
        print(f"{_header(options.qemu)}, {time.monotonic() - began:.0f} s for all.\n")
        print(table(_HEAD, [_cells(line) for line in lines]))
    outcomes = {line.outcome for line in lines}
    return 1 if "fail" in outcomes else 3 if "emulator" in outcomes else 0


def _cells(line: Line) -> list[str]:
    runs = len(line.passed) + len(line.failed)
    passed = f"{len(line.passed)} of {runs}" if runs else line.outcome
    peer = "failed" if isinstance(line.peer, str) else "" if line.peer is None else _time([line.peer])
    return [line.image, line.title, passed, _time(line.passed), peer, _seen(line)]


def _time(values: Sequence[float]) -> str:
    """Seconds; with the spread where there are several."""
    return "" if not values else f"{values[0]:.1f}" if len(values) == 1 else spread(values)


def _seen(line: Line) -> str:
    parts = [line.skipped, line.detail, *(f"FAILED: {text}" for text in line.failed)]
    if line.emulator:
        parts.append(f"the emulator broke {len(line.emulator)} off: {line.emulator[-1]}")
    if isinstance(line.peer, str):
        parts.append(f"the peer failed: {line.peer}")
    return "; ".join(" ".join(part.split()) for part in parts if part).replace("|", "/")


def _header(qemu: Path) -> str:
    now = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    tools = ", ".join(f"{name} {version(name)}" for name in ("mpremote", "esptool"))
    return f"{now}; {_qemu_version(qemu)}; {tools}; 115200 baud at the start, 1 ms a turn"


def _qemu_version(qemu: Path) -> str:
    binary = next(path for path in sorted(qemu.rglob("qemu-system-*")) if os.access(path, os.X_OK) and path.is_file())
    said = subprocess.run([str(binary), "--version"], capture_output=True, text=True, timeout=20, check=False).stdout
    return said.splitlines()[0] if said else str(binary.name)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except TwinrootError as error:
        sys.stderr.write(f"error: {error.message}\n  next: {error.hint}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
