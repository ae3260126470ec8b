"""The same again and again (`--soak ROUNDS`, 5 by default): no update takes longer, no heap is lost."""

from __future__ import annotations

from provisioning.hil.acceptance.jobs import OTHER_PREFIX, measured
from provisioning.hil.board import Board
from provisioning.hil.options import Wanted
from provisioning.hil.products import PREFIX, ProductMaker
from provisioning.hil.reporting import Measure
from provisioning.job.update import update

_LOADED = "import gc,twinroot\ngc.collect()"
_LOST = 2000  # bytes of heap that two rounds may differ


def test_soak(board: Board, make_product: ProductMaker, measure: Measure, hil_options: Wanted) -> None:
    free: list[int] = []
    for number in range(hil_options.soak):
        product = make_product((PREFIX, OTHER_PREFIX)[number % 2])
        measured(board, measure, "update in a soak", lambda product=product: update(product, make_product.device, board.port))  # type: ignore[misc]
        free.append(board.eval("gc.mem_free()", first=_LOADED, timeout=60))
        measure("heap in a soak, free bytes", free[-1])
    assert free[0] - free[-1] < _LOST, free
