"""The board itself connects to a cloud that this computer plays, over the route that is right for it."""

from __future__ import annotations

import pytest

from provisioning.config.product import Product
from provisioning.hil.acceptance.jobs import measured, passed
from provisioning.hil.board import Board
from provisioning.hil.products import ProductMaker
from provisioning.hil.reporting import Measure
from provisioning.job.update import update
from provisioning.job.verify import verify
from provisioning.standin import StandIn


@pytest.mark.needs_wifi
def test_the_other_route_when_the_first_root_dies(
    board: Board, cloud: StandIn, cloud_product: Product, make_product: ProductMaker, measure: Measure
) -> None:
    device = make_product.device
    passed(update(cloud_product, device, board.port))
    report = measured(board, measure, "verify --connect", lambda: verify(board.port, cloud_product, device, connect=True))
    assert (report.selftest["connect"]["route"], report.selftest["connect"]["root"]) == ("ats", cloud.route("ats")["root"])
    cloud.scenario("ats", "wrong-root")
    report = measured(board, measure, "failover", lambda: verify(board.port, cloud_product, device, connect=True))
    assert (report.selftest["connect"]["route"], report.selftest["connect"]["root"]) == ("legacy", cloud.route("legacy")["root"])
