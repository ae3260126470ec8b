"""The board type that the options of a virtual board name, as plain values."""

from __future__ import annotations

from provisioning.config.load import load_board
from provisioning.virtual.options import VirtualOptions
from provisioning.virtual.spec import BoardSpec


def named_board(options: VirtualOptions) -> BoardSpec:
    """The board type that the options name. Raises InputError for one that is not there or not valid."""
    board = load_board(options.board)
    size = int(str(board.flash_size).removesuffix("MB")) << 20 if isinstance(board.flash_size, str) else int(board.flash_size)
    default = BoardSpec()
    return BoardSpec(
        board=board.name,
        chip=options.chip or board.chip,
        flash_size=options.flash_bytes or size,
        slot=board.slots.size if board.slots else 0,
        heap=options.heap or default.heap,
        paced=options.paced,
        latency_ms=options.latency_ms,
        flash_timing=options.flash_timing,
        blank=options.blank,
        seed=options.seed,
        clock=options.clock,
        usb=options.usb,
        faults=tuple(options.faults),
    )
