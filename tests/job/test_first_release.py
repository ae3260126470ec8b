"""Boards as the first form left them, a package a folder of modules: an update moves them over, a rollback moves them back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from provisioning.bundle.bundle import build
from provisioning.bundle.pack import in_folder
from provisioning.job.rollback import rollback
from provisioning.job.update import update
from provisioning.job.verify import verify
from tests.device.virtual import Virtual
from tests.job.conftest import Bench

LOADER = Path(__file__).parents[1] / "device" / "first_release" / "__init__.py"


def first_form(product: Any, device: Any) -> dict[str, bytes]:
    """The whole file system of a board with this product as set 1."""
    bundle = build(product, device)
    every = {**bundle.trust, **bundle.lib}
    described = json.loads(bundle.trust["set.json"])
    info, files = in_folder(described, {name: every[name] for name in described["files"]})
    tree = {name if name.startswith("/") else f"/trust/1/{name}": content for name, content in files.items()}
    tree["/trust/1/set.json"] = json.dumps(info, sort_keys=True, separators=(",", ":")).encode()
    return {**tree, "/trust/active": b"1", "/lib/twinroot/__init__.py": LOADER.read_bytes(), "/boot.py": b""}


def test_an_update_moves_a_board_over_and_a_rollback_moves_it_back(bench: Bench) -> None:
    product = bench.product()
    tree = first_form(product, bench.device)
    Virtual(bench.board).put(tree)
    bench.restart()
    before = verify(bench.port)
    assert (before.outcome, before.generation) == ("pass", 1), before.message
    moved = update(product, bench.device, bench.port)
    assert (moved.outcome, moved.code, moved.generation, moved.previous) == ("pass", "pass", 2, 1), moved.message
    assert verify(bench.port, product, bench.device).outcome == "pass"
    assert update(product, bench.device, bench.port).code == "unchanged"
    back = rollback(bench.port)
    assert (back.outcome, back.generation) == ("pass", 1), back.message
    held = verify(bench.port)
    assert (held.outcome, held.generation) == ("pass", 1), held.message
    names = {path for path in tree if path.startswith("/lib/twinroot/") and path.count("/") > 3}
    assert {path: held.files[path] for path in names} == {path: hashlib.sha256(tree[path]).hexdigest() for path in names}


def test_the_folder_goes_when_nothing_needs_it(bench: Bench) -> None:
    Virtual(bench.board).put(first_form(bench.product(), bench.device))
    bench.restart()
    for account in ("z9y8x7w6v5u4t3", "b9y8x7w6v5u4t3", "c9y8x7w6v5u4t3"):
        report = update(bench.product(a1b2c3d4e5f6g7=account), bench.device, bench.port)
        assert report.outcome == "pass", report.message
    kinds = bench.run("import os\nprint(sorted((e[0], e[1]) for e in os.ilistdir('/lib/twinroot')))")
    assert "16384" not in kinds, kinds
