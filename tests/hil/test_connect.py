"""The board itself connects, with mutual TLS, to a cloud that this computer plays."""

from __future__ import annotations

import pytest

from provisioning.config.product import Product
from provisioning.hil import Board
from provisioning.hil.products import ProductMaker
from provisioning.job.update import update
from provisioning.job.verify import verify
from provisioning.standin import StandIn
from tests.hil.passed import passed

pytestmark = pytest.mark.needs_wifi


def test_verify_connect_is_a_real_handshake(board: Board, make_product: ProductMaker, cloud: StandIn, cloud_product: Product) -> None:
    passed(update(cloud_product, make_product.device, board.port))
    report = verify(board.port, cloud_product, make_product.device, connect=True)
    assert report.outcome == "pass", report.message
    told = report.selftest["connect"]
    assert (told["ok"], told["route"], told["root"]) == (True, "ats", cloud.route("ats")["root"])
    # The endpoint's own word for it.
    seen = cloud.wait_connection(route="ats", outcome="connected")
    assert seen["certificate"] == make_product.device.id


def test_verify_connect_over_the_other_root(board: Board, make_product: ProductMaker, cloud: StandIn, cloud_product: Product) -> None:
    passed(update(cloud_product, make_product.device, board.port))
    cloud.scenario("ats", "wrong-root")
    report = verify(board.port, cloud_product, make_product.device, connect=True)
    assert report.outcome == "pass", report.message
    assert (report.selftest["connect"]["route"], report.selftest["connect"]["root"]) == ("legacy", cloud.route("legacy")["root"])
    tried = [seen["outcome"] for seen in cloud.connections() if seen["route"] == "ats"]
    assert len(tried) >= 2 and "connected" not in tried


def test_a_board_that_cannot_connect_says_why(board: Board, make_product: ProductMaker, cloud: StandIn, cloud_product: Product) -> None:
    passed(update(cloud_product, make_product.device, board.port))
    for route in cloud.routes:
        cloud.scenario(route["name"], "wrong-root")
    report = verify(board.port, cloud_product, make_product.device, connect=True)
    told = report.selftest["connect"]
    assert (report.outcome, report.exit_code, told["ok"], told["kind"]) == ("fail", 1, False, "trust")
    assert "None" not in report.message and str(told["error"]).rstrip(".") in report.message
