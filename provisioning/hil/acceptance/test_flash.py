"""From a blank chip to PASS: firmware, file system, first report. With --firmware FILE on a real board; virtual boards have a stand-in."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from provisioning.chips import CHIPS
from provisioning.config.load import load_board
from provisioning.hil.acceptance.jobs import measured
from provisioning.hil.board import Board
from provisioning.hil.options import Wanted
from provisioning.hil.products import ProductMaker
from provisioning.hil.reporting import Measure
from provisioning.job.flash import flash
from provisioning.job.plan import FlashOptions, FlashPlan
from provisioning.ledger.store import Ledger
from provisioning.virtual import boot_image


@pytest.fixture
def firmware(board: Board, hil_options: Wanted, tmp_path: Path) -> Path:
    """The image: --firmware, or what virtual boards boot."""
    if board.engine == "qemu":
        pytest.skip("esptool's stub does not run on emulated chips, and their ROM loaders read zeros (docs/virtual-board.md)")
    if hil_options.firmware:
        return Path(hil_options.firmware).resolve()
    if board.real:
        pytest.skip("a real board needs --firmware FILE, the image that it is to have")
    file = tmp_path / "firmware.bin"
    file.write_bytes(boot_image.firmware(CHIPS[board.identity["chip"]], 4 << 20))
    return file


@pytest.mark.destructive("writes the whole flash")
def test_blank_chip_to_pass(board: Board, make_product: ProductMaker, firmware: Path, tmp_path: Path, measure: Measure) -> None:
    sha256 = hashlib.sha256(firmware.read_bytes()).hexdigest()
    offset = load_board(make_product.board).firmware.offset
    kind = {"extends": make_product.board, "firmware": {"file": str(firmware), "sha256": sha256, "version": "1.0.0", "offset": offset}}
    (tmp_path / "board.yaml").write_text(json.dumps(kind), "utf-8")
    product = make_product(board=str(tmp_path / "board.yaml"))
    plan = FlashPlan.of(product)
    board.release()
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        options = FlashOptions(operator="acceptance")
        measured(board, measure, "flash", lambda: flash(plan, [make_product.device], board.hardware.loader_port, ledger, options))
