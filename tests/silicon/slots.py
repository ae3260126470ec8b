"""Two slots for firmware: the stock boot loader, the image's own application, a partition table of ours."""

from __future__ import annotations

import time

from provisioning.flash import app_image, partition
from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from provisioning.virtual import VirtualBoard
from tests.silicon.product import Products
from tests.silicon.rig import BOOT, PROMPT, EmulatorFailedError, Rig, RowFailedError, Took
from tests.support import slot_steps

_ALIGNMENT = 0x10000
_LIMIT = 300.0  # s: one slot copied to the other


def with_slots(content: bytes, offset: int, flash: int) -> bytes:
    """The image of a stock firmware, made for one application, with a table of two slots that its application fits. BadTable, BadImage."""
    rows = partition.parse(content[partition.TABLE_OFFSET - offset :])
    first = next(row for row in rows if row.is_app)
    app = app_image.parse(content, first.offset - offset)
    slot = -(-app.size // _ALIGNMENT) * _ALIGNMENT
    table = partition.make(partition.two_slots(slot, flash))
    head = content[: partition.TABLE_OFFSET - offset] + table
    return head.ljust(first.offset - offset, b"\xff") + content[first.offset - offset :][: app.size]


class Chip:
    """An emulated chip as tests/support/slot_steps.py has one."""

    def __init__(self, board: VirtualBoard) -> None:
        self._board = board

    def restart(self) -> None:
        self._board.power_off()
        with open_port(self._board.pty) as wire:
            wire.discard()
            self._board.power_on()
            if not wire.until(PROMPT, BOOT).endswith(PROMPT):
                raise EmulatorFailedError(f"no prompt within {BOOT:g} s of power: {self._board.log()[-400:]}")

    def run(self, code: str) -> str:
        with open_port(self._board.pty) as wire:
            repl = RawRepl(wire)
            repl.enter()
            return repl.run(code, _LIMIT).decode()

    def read(self, address: int, size: int) -> bytes:
        return self._board.read_flash(address, size)

    def load(self, address: int, data: bytes) -> None:
        self._board.power_off()
        self._board.load_flash(address, data)


def steps(rig: Rig, _products: Products) -> Took:
    """A chip of its own, whose flash has two slots; this row's is off meanwhile."""
    rig.off()
    file = rig.board.state / "slots.bin"
    file.write_bytes(with_slots(rig.image.file.read_bytes(), rig.image.offset, 4 << 20))
    with VirtualBoard(engine="qemu", qemu=rig.qemu, firmware=file) as board:
        began = time.monotonic()
        wrong = slot_steps.play(Chip(board))
        seconds = time.monotonic() - began
    if wrong:
        raise RowFailedError("; ".join(wrong))
    return Took(seconds, f"{len(slot_steps.STEPS)} steps, the bytes of otadata as on the virtual board")
