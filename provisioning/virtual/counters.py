"""What the bench may ask of a board: bytes, turns, losses, flash operations, resets, since the start or the last `clear`."""

from __future__ import annotations

from typing import Any

from provisioning.virtual.circuit import Circuit
from provisioning.virtual.nor_flash import FlashCounters


def of(board: Circuit) -> dict[str, Any]:
    """The table in docs/virtual-board.md; `erases_per_block` is {sector number as text: erases}."""
    counters = board.flash.counters
    reads, read_bytes, read_seconds = board.page.flash_reads
    return {
        "to_board": board.uart.to_board.carried,
        "to_host": board.uart.to_host.carried,
        "turns": board.uart.turnaround.turns,
        "dropped": board.dropped + (board.interpreter.dropped if board.interpreter is not None else 0),
        "unread": board.uart.unread,
        "flash_reads": counters.reads + reads,
        "flash_read_bytes": counters.read_bytes + read_bytes,
        "flash_programs": counters.programs,
        "flash_program_bytes": counters.program_bytes,
        "flash_erases": counters.erases,
        "flash_seconds": round(counters.seconds + read_seconds, 9),
        "erases_per_block": {str(block): n for block, n in sorted(counters.erases_per_block.items())},
        "resets": board.resets,
        "boots": board.boots,
    }


def clear(board: Circuit) -> None:
    """All counters start again at zero."""
    board.flash.counters = FlashCounters()
    board.page.clear_counters()
    board.uart.clear_counters()
    board.resets = board.boots = board.dropped = 0
    if board.interpreter is not None:
        board.interpreter.clear_dropped()
