"""Telemetry is JSON of fewer than 300 bytes, whatever there is to tell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.device import sets
from tests.device.jail import Board
from tests.support.pki import root

ROUTE = {"good": 4_000_000_000, "bad": 4_000_000_000, "at": 4_000_000_000, "err": "hostname"}
LONG = "Starfield Services Root Certificate Authority - G2 \u00e9\u00e9\u00e9"


def health(routes: int, roots: int, issuer: str | None) -> bytes:
    row = {**ROUTE, **({"iss": issuer} if issuer else {})}
    return json.dumps(
        {
            "v": 1,
            "proven": 12,
            "last": "route-0",
            "since": 4_000_000_000,
            "routes": {f"route-{i}": row for i in range(routes)},
            "roots": {f"VeriSign-Class3-Public-Primary-G{i}": {"good": 4_000_000_000} for i in range(roots)},
        }
    ).encode()


@pytest.mark.parametrize(
    ("routes", "roots", "issuer"), [(2, 2, None), (2, 3, "Amazon Root CA 3"), (2, 6, LONG), (4, 8, LONG), (40, 40, LONG)]
)
def test_length(tmp_path: Path, routes: int, roots: int, issuer: str | None) -> None:
    one = sets.build(1, [sets.route("ats", "h", ["R"])], {"R": root("R")})
    board = Board(tmp_path, sets.board(1, one) | {"/trust/health.json": health(routes, roots, issuer)})
    text = board.run("import twinroot; print(twinroot.telemetry.text())").out.strip()
    assert len(text.encode()) < 300
    d = json.loads(text)
    if routes <= 4:
        assert set(d["r"]) == {f"route-{i}" for i in range(routes)}
        assert d["r"]["route-0"][:3] == [4_000_000_000, 4_000_000_000, "hostname"]
    if issuer == "Amazon Root CA 3":
        assert d["r"]["route-0"][3] == issuer
