"""The board itself connects, with mutual TLS, to a cloud that this computer plays."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from provisioning.job.update import update
from provisioning.job.verify import verify
from provisioning.standin import StandIn
from tests.hil.bench import DEVICE, Bench, passed
from tests.hil.product import Maker


@pytest.fixture
def cloud_keys(cloud: StandIn, make: Maker, reachable: dict[str, str], tmp_path: Path) -> dict[str, Any]:
    """The product's keys for this cloud; the board's identity is one that this cloud knows."""
    for source, kind in zip(cloud.issue(DEVICE), ("crt", "key"), strict=True):
        shutil.copyfile(source, tmp_path / "devices" / f"{DEVICE}.{kind}.pem")
    routes = [{"name": route["name"], "endpoint": route["endpoint"], "roots": [route["root"]]} for route in cloud.routes]
    return {
        "cloud": {"region": cloud.info["region"], "endpoint": cloud.routes[0]["endpoint"], "routes": routes},
        "roots": {name: {"file": str(path), "sha256": cloud.pins[name]} for name, path in cloud.roots.items()},
        "lab": {"resolve": reachable},
    }


def test_verify_connect_is_a_real_handshake(bench: Bench, make: Maker, cloud: StandIn, cloud_keys: dict[str, Any]) -> None:
    product = make(**cloud_keys)
    passed(update(product, make.device, bench.port))
    report = verify(bench.port, product, make.device, connect=True)
    assert report.outcome == "pass", report.message
    told = report.selftest["connect"]
    assert (told["ok"], told["route"], told["root"]) == (True, "ats", cloud.route("ats")["root"])
    # The endpoint's own word for it.
    seen = cloud.wait_connection(route="ats", outcome="connected")
    assert seen["certificate"] == DEVICE


def test_verify_connect_over_the_other_root(bench: Bench, make: Maker, cloud: StandIn, cloud_keys: dict[str, Any]) -> None:
    product = make(**cloud_keys)
    passed(update(product, make.device, bench.port))
    cloud.scenario("ats", "wrong-root")
    report = verify(bench.port, product, make.device, connect=True)
    assert report.outcome == "pass", report.message
    assert (report.selftest["connect"]["route"], report.selftest["connect"]["root"]) == ("legacy", cloud.route("legacy")["root"])
    tried = [seen["outcome"] for seen in cloud.connections() if seen["route"] == "ats"]
    assert len(tried) >= 2 and "connected" not in tried


def test_a_board_that_cannot_connect_says_why(bench: Bench, make: Maker, cloud: StandIn, cloud_keys: dict[str, Any]) -> None:
    product = make(**cloud_keys)
    passed(update(product, make.device, bench.port))
    for route in cloud.routes:
        cloud.scenario(route["name"], "wrong-root")
    report = verify(bench.port, product, make.device, connect=True)
    told = report.selftest["connect"]
    assert (report.outcome, report.exit_code, told["ok"], told["kind"]) == ("fail", 1, False, "trust")
    assert "None" not in report.message and str(told["error"]).rstrip(".") in report.message
