"""Telemetry is JSON of fewer than 300 bytes, whatever there is to tell."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from provisioning.aws.topics import policy_document
from tests.device import sets
from tests.device.jail import Board
from tests.support import iot_policy
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
            "roots": {f"VeriSign-Class3-Public-Primary-G{i}": {"good": 4_000_000_000, "at": 4_000_000_000} for i in range(roots)},
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


def test_what_a_fleet_is_moved_by(tmp_path: Path) -> None:
    """Set, routes in its order, the version that was rolled back, firmware; the same as a shadow, on a topic that the policy allows."""
    guard = json.dumps({"refused": 7, "retired": []})
    guarded = (hashlib.sha256(guard.encode()).hexdigest()[:16] + guard).encode()
    routes = [sets.route("legacy", "h", ["R"]), sets.route("ats", "i", ["R"])]
    one = sets.build(5, routes, {"R": root("R")})
    board = Board(tmp_path, sets.board(5, one) | {"/trust/health.json": health(2, 2, None), "/trust/guard.0": guarded})
    said = board.run(
        "import sys, twinroot\n"
        "class C:\n"
        "    client_id = 'ws-1'\n"
        "    def publish(self, t, m): print(t); print(m)\n"
        "print(twinroot.telemetry.text()); twinroot.telemetry.shadow(C()); print('twinroot.guard' in sys.modules)"
    ).out.splitlines()
    told = json.loads(said[0])
    assert (told["v"], told["o"], told["x"], told["l"]) == (5, "legacy,ats", 7, "route-0")
    assert told["m"].count(".") == 2 and told["t"] > sets.FLOOR
    assert json.loads(said[2])["state"]["reported"] | {"t": 0} == told | {"t": 0}
    assert said[3] == "False", "what was read once leaves the heap"
    assert iot_policy.allows(policy_document("us-east-1", "aws"), "iot:Publish", f"topic/{said[1]}", "ws-1")


@pytest.mark.parametrize(
    ("roots", "issuer", "wanted"),
    [
        ({"AmazonRootCA1": 7, "AmazonRootCA3": 2}, LONG, {"AmazonRootCA1": 7, "AmazonRootCA3": 2}),
        ({"VeriSign-Class3-Public-Primary-G5": 7, "AmazonRootCA1": 2}, LONG, {"VeriSign-Class3-Publ": 7, "AmazonRootCA1": 2}),
        ({"A-factory-of-our-own-root-2024": 7, "A-factory-of-our-own-root-2034": 2}, LONG, None),
    ],
)
def test_names_are_never_cut_alike(tmp_path: Path, roots: dict[str, int], issuer: str, wanted: dict[str, int] | None) -> None:
    """Whose connections a counter counts is clear, or it is left out: a root would be taken for another one."""
    routes = {name: {**ROUTE, "iss": issuer * 2} for name in ("the-site-in-the-north-1", "the-site-in-the-north-2")}
    data = json.loads(health(0, 0, None)) | {"routes": routes, "roots": {name: {"good": good, "at": 1} for name, good in roots.items()}}
    one = sets.build(1, [sets.route("ats", "h", ["R"])], {"R": root("R")})
    board = Board(tmp_path, sets.board(1, one) | {"/trust/health.json": json.dumps(data).encode()})
    found = json.loads(board.run("import twinroot; print(twinroot.telemetry.text())").out)
    assert found.get("a") == wanted
    assert len(found["r"]) == 2
