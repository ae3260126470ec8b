"""What a field engineer relies on: whole or not at all, nothing twice, nothing that is not ours."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from provisioning.hil import Board
from provisioning.hil.products import ProductMaker
from provisioning.job.rollback import rollback
from provisioning.job.update import update
from provisioning.job.verify import verify
from tests.hil.passed import passed

OTHER_PREFIX = "z9y8x7w6v5u4t3"


def hashes(paths: list[str]) -> dict[str, str]:
    """Runs on the board: SHA-256 of its files."""
    import hashlib

    return {path: hashlib.sha256(open(path, "rb").read()).digest().hex() for path in paths}


def written(board: Board) -> int | None:
    """Flash pages and erases so far; None where nobody counts them."""
    return None if board.flash_ops is None else board.flash_ops.programs + board.flash_ops.erases


def client_id(board: Board) -> str:
    set_json = board.fs / "trust" / (board.fs / "trust" / "active").read_text().strip() / "set.json"
    return str(json.loads(set_json.read_text())["client_id"])


def test_from_nothing_to_pass(board: Board, make_product: ProductMaker) -> None:
    report = update(make_product(), make_product.device, board.port)
    assert (report.outcome, report.code, report.exit_code) == ("pass", "pass", 0), report.message
    assert (report.generation, report.previous, report.device) == (1, None, make_product.device.id)
    assert report.selftest["ok"] and report.selftest["bad"] == []
    # Not the report's word for it: the files as another program reads them.
    assert board.call(hashes, list(report.files), timeout=60) == report.files
    assert report.mac == report.selftest["uid"][:2] + "".join(f":{report.selftest['uid'][at : at + 2]}" for at in range(2, 12, 2))


def test_the_second_update_writes_nothing(board: Board, make_product: ProductMaker) -> None:
    product = make_product()
    passed(update(product, make_product.device, board.port))
    before = written(board)
    report = update(product, make_product.device, board.port)
    assert (report.outcome, report.code, report.written) == ("pass", "unchanged", [])
    assert written(board) == before


def test_verify_says_what_is_there_and_writes_nothing(board: Board, make_product: ProductMaker) -> None:
    empty = verify(board.port)
    assert (empty.outcome, empty.code, empty.exit_code) == ("fail", "no-package", 1)
    product = make_product()
    passed(update(product, make_product.device, board.port))
    before = written(board)
    report = verify(board.port, product, make_product.device)
    assert report.outcome == "pass", report.message
    other = verify(board.port, make_product(OTHER_PREFIX), make_product.device)
    assert (other.outcome, other.code, other.exit_code) == ("fail", "other-set", 1)
    assert written(board) == before


def test_damage_is_seen_and_repaired(board: Board, make_product: ProductMaker) -> None:
    product = make_product()
    passed(update(product, make_product.device, board.port))
    board.exec("f=open('/trust/1/AmazonRootCA1.pem','r+b');f.seek(100);f.write(b'XXXX');f.close()")
    seen = verify(board.port, product, make_product.device)
    assert (seen.outcome, seen.code) == ("fail", "bad-files")
    assert "AmazonRootCA1.pem" in seen.message
    passed(update(product, make_product.device, board.port))
    passed(verify(board.port, product, make_product.device))


def test_a_changed_endpoint_sends_set_json_alone(board: Board, make_product: ProductMaker) -> None:
    first = passed(update(make_product(), make_product.device, board.port))
    second = passed(update(make_product(OTHER_PREFIX), make_product.device, board.port))
    assert (second.generation, second.previous) == (2, 1)
    # Roots and identity are copied on the board; nothing of the package is written at all.
    assert not [path for path in second.written if path.startswith("/lib/")]
    # The receiver and a set.json of about a kilobyte cross the wire, the rest of the set does not.
    assert second.wire["sent"] < first.wire["sent"] / 2


def test_back_and_forward(board: Board, make_product: ProductMaker) -> None:
    passed(update(make_product(), make_product.device, board.port))
    passed(update(make_product(OTHER_PREFIX), make_product.device, board.port))
    back = rollback(board.port)
    assert (back.outcome, back.generation, back.written) == ("pass", 1, ["/trust/active"]), back.message
    passed(verify(board.port, make_product(), make_product.device))
    again = rollback(board.port)
    assert (again.outcome, again.code, again.written) == ("fail", "no-previous-set", [])
    forward = update(make_product(OTHER_PREFIX), make_product.device, board.port)
    assert (forward.outcome, forward.generation, forward.written) == ("pass", 2, ["/trust/active"])


@pytest.mark.parametrize("transport", ["stream", "paste", "ampy"])
def test_each_transport_writes_the_same(board: Board, make_product: ProductMaker, transport: str) -> None:
    product = make_product()
    report = update(product, make_product.device, board.port, transport=transport)
    assert (report.outcome, report.transport) == ("pass", transport), report.message
    assert verify(board.port, product, make_product.device).files == report.files


def test_two_boards_at_once(boards: Callable[[int], list[Board]], make_product: ProductMaker) -> None:
    two = boards(2)
    product = make_product()
    devices = [make_product.device, make_product.identity("hil-0002", product)]
    with ThreadPoolExecutor(2) as both:
        reports = list(both.map(lambda board, device: update(product, device, board.port), two, devices))
    assert [(report.outcome, report.device) for report in reports] == [("pass", "hil-0001"), ("pass", "hil-0002")]
    assert reports[0].mac != reports[1].mac
    assert [client_id(board) for board in two] == ["hil-0001", "hil-0002"]


def test_a_dry_run_says_what_it_would_write(board: Board, make_product: ProductMaker) -> None:
    before = written(board)
    would = update(make_product(), make_product.device, board.port, dry_run=True)
    assert (would.outcome, would.code) == ("pass", "dry-run")
    assert written(board) == before
    assert not (board.fs / "trust" / "active").exists()
    assert update(make_product(), make_product.device, board.port).written == would.written


def test_set_json_is_what_the_report_says(board: Board, make_product: ProductMaker) -> None:
    report = update(make_product(), make_product.device, board.port)
    text = (board.fs / "trust" / "1" / "set.json").read_bytes()
    assert hashlib.sha256(text).hexdigest() == report.files["/trust/1/set.json"] == report.selftest["set_sha256"]
