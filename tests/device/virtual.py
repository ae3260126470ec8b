"""The virtual board as a device for this folder's suites: its flash is filled before power-on, its REPL runs the script."""

from __future__ import annotations

from provisioning.link.port import open_port
from provisioning.link.repl import LinkBroken, RawRepl
from provisioning.link.wire import Wire
from provisioning.virtual.client import VirtualBoard
from tests.support import littlefs_image

VFS = 0x200000  # stock table for 4 MB: the partition `vfs`
BLOCKS = 512
CHUNK = 32768  # of one control message; every block is written, a stale twin of a directory would win


def read(board: VirtualBoard, vfs: int = VFS, blocks: int = BLOCKS) -> dict[str, bytes]:
    """Every file in flash."""
    return littlefs_image.files(board.read_flash(vfs, littlefs_image.BLOCK * blocks))


class Virtual:
    """`put` replaces the file system, of `blocks` at `vfs`; `lines` is a power-on, the script, and what it printed."""

    def __init__(self, board: VirtualBoard, vfs: int = VFS, blocks: int = BLOCKS) -> None:
        self.board = board
        self.vfs, self.blocks = vfs, blocks

    def put(self, tree: dict[str, bytes]) -> None:
        self.board.power_off()
        data = littlefs_image.made(tree, self.blocks)
        for at in range(0, len(data), CHUNK):
            self.board.load_flash(self.vfs + at, data[at : at + CHUNK])

    def prompt(self, wire: Wire, power: bool = True) -> RawRepl:
        """The raw REPL after the board has started: by `power`, else by a reset that is under way."""
        if power:
            self.board.power_on()
        said = bytearray()
        while not said.endswith(b">>> "):  # an interrupt before the prompt would hit the start-up
            more = wire.read(5)
            assert more, said
            said += more
        repl = RawRepl(wire)
        repl.enter()
        return repl

    def lines(self, script: str, seconds: float = 110) -> list[str]:
        self.board.power_off()
        with open_port(self.board.pty) as wire:
            return self.prompt(wire).run(script, seconds).decode(errors="replace").splitlines()

    def cut(self, script: str, operations: int) -> bool:
        """Power on, the script, and the power goes in the flash operation after `operations` more. False when the script
        ended before that."""
        self.board.power_off()
        with open_port(self.board.pty) as wire:
            repl = self.prompt(wire)
            self.board.cut(operations, seed=operations)
            try:
                repl.start(script)
            except LinkBroken:  # the power went before the board's OK was out
                if self.board.powered:
                    raise
            said = bytearray()
            while self.board.powered and not said.endswith(b"\x04>"):
                said += wire.read(0.05)
        went = not self.board.powered
        if not went:
            self.board.call("uncut")
        return went
