"""Update and verify: from nothing to PASS, nothing twice, damage found and mended, back and forward."""

from __future__ import annotations

from provisioning.hil.acceptance.jobs import OTHER_PREFIX, measured, passed
from provisioning.hil.board import Board
from provisioning.hil.products import ProductMaker
from provisioning.hil.reporting import Measure
from provisioning.job.rollback import rollback
from provisioning.job.update import update
from provisioning.job.verify import verify


def test_the_board_says_who_it_is(board: Board, measure: Measure) -> None:
    assert board.identity["chip"] and board.identity["mac"].count(":") == 5
    measure("heap at the prompt, free bytes", board.heap.free)


def test_first_update_second_update_and_verify(board: Board, make_product: ProductMaker, measure: Measure) -> None:
    product = make_product()
    first = measured(board, measure, "first update", lambda: update(product, make_product.device, board.port))
    assert first.selftest["ok"] and first.mac == board.identity["mac"]
    again = measured(board, measure, "nothing changed", lambda: update(product, make_product.device, board.port))
    assert (again.code, again.written) == ("unchanged", [])
    seen = measured(board, measure, "verify", lambda: verify(board.port, product, make_product.device))
    assert seen.files == first.files
    measure("heap with twinroot loaded, free bytes", board.eval("gc.mem_free()", first="import gc,twinroot\ngc.collect()", timeout=60))


def test_damage_is_found_and_mended(board: Board, make_product: ProductMaker) -> None:
    product = make_product()
    passed(update(product, make_product.device, board.port))
    root = board.fs / "trust" / "1" / "AmazonRootCA1.pem"
    content = root.read_bytes()
    root.write_bytes(content[:100] + b"XXXX" + content[104:])
    seen = verify(board.port, product, make_product.device)
    assert (seen.outcome, seen.code) == ("fail", "bad-files") and "AmazonRootCA1.pem" in seen.message
    passed(update(product, make_product.device, board.port))
    passed(verify(board.port, product, make_product.device))


def test_back_and_forward(board: Board, make_product: ProductMaker, measure: Measure) -> None:
    passed(update(make_product(), make_product.device, board.port))
    changed = measured(board, measure, "another endpoint", lambda: update(make_product(OTHER_PREFIX), make_product.device, board.port))
    assert not [path for path in changed.written if path.startswith("/lib/")]
    back = measured(board, measure, "rollback", lambda: rollback(board.port))
    assert (back.generation, back.written) == (1, ["/trust/active"])
    passed(verify(board.port, make_product(), make_product.device))
