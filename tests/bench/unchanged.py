"""The run that writes nothing: a whole `update` of a product that the board holds already."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from provisioning.config.device import single_device
from provisioning.config.load import load_product
from provisioning.job.update import update
from tests.bench import peers
from tests.support.product_files import PRODUCT, write_identity, write_product


def unchanged(runs: int) -> list[dict[str, Any]]:
    """Seconds with the port open, turns and flash writes (both counted by the board) of each run."""
    found = []
    with tempfile.TemporaryDirectory() as place, peers.board(1.0) as on:
        folder = Path(place)
        write_identity(folder, "ws-0001")
        product = load_product(write_product(folder, PRODUCT.replace("esp32-generic", "virtual-esp32")))
        device = single_device("ws-0001")
        first = update(product, device, on.port)
        if first.outcome != "pass":
            raise RuntimeError(first.message)
        for _ in range(runs):
            on.settle()
            before = on.board.counters()
            report = update(product, device, on.port)
            after = on.board.counters()
            if report.code != "unchanged":
                raise RuntimeError(report.message)
            writes = sum(after[name] - before[name] for name in ("flash_programs", "flash_erases"))
            found.append({"seconds": report.wire["seconds"], "turns": after["turns"] - before["turns"], "writes": writes})
    return found
