"""The power goes in the middle of an update: the board holds a whole set, and the next update passes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from provisioning.hil.acceptance.jobs import OTHER_PREFIX, passed
from provisioning.hil.board import Board
from provisioning.hil.products import ProductMaker
from provisioning.job.update import update
from provisioning.job.verify import verify

CUTS = (1, 9, 25, 45, 70)


@pytest.mark.virtual_only("a person would have to pull the plug")
@pytest.mark.parametrize("operations", CUTS)
def test_power_cut_in_an_update(board: Board, make_product: ProductMaker, operations: int) -> None:
    product, device = make_product(), make_product.device
    passed(update(product, device, board.port))
    board.power_cut(operations, seed=operations)
    port, other = board.port, make_product(OTHER_PREFIX)
    with ThreadPoolExecutor(1) as beside:
        running = beside.submit(update, other, device, port)
        while not running.done() and not board.wait_off(1.0):
            pass
        board.power_on()  # at once, so that the update, which waits for its board, finds one that has restarted
        running.result()
    seen = verify(board.port)
    assert seen.outcome == "pass" and seen.generation in (1, 2), f"{seen.code}: {seen.message}"
    passed(update(make_product(OTHER_PREFIX), device, board.port))
