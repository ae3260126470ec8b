"""What a user waits for: the command `twinroot update` on the example product, as a process, with restart and the board's own report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from provisioning.resources import folder
from tests.bench.peers import BIN, Board, process

_TWINROOT = str(BIN / "twinroot")
_DEVICE = "ws-0001"
AFTER = ("restart", "selftest")  # steps that no peer has


def example(place: Path) -> Path:
    """examples/weather-station with an identity, made as the README says; its product file."""
    product = Path(shutil.copytree(folder("examples") / "weather-station", place / "station")) / "product.yaml"
    process(_TWINROOT, "identity", "ca", "--out", str(product.parent / "factory"))
    process(_TWINROOT, "identity", "make", str(product), "--device", _DEVICE)
    return product


def update(on: Board, product: Path, rate: int) -> dict[str, Any]:
    """One update of a blank board: `process`, `before` (without the steps AFTER), `seconds` (port open), `plain` bytes sent and so on."""
    on.blank()
    seconds, text = process(_TWINROOT, "update", str(product), "--port", on.port, "--device", _DEVICE, "--baud", str(rate), "--json")
    report = json.loads(text)
    after = sum(step["seconds"] for step in report["steps"] if step["name"] in AFTER)
    return {**report["wire"], "process": seconds, "before": seconds - after, "files": len(report["written"])}
