"""adafruit-ampy's own Files on a board whose raw REPL is open already: for firmware older than raw paste (MicroPython 1.14), and forks
without it. Its calls have our deadlines, any URL works, and the board is not reset at every call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioning.errors import BoardError
from provisioning.link.repl import RawRepl
from provisioning.link.transport.base import device_error

if TYPE_CHECKING:
    from ampy.files import Files


class Pyboard:
    """What ampy's Files wants of a board: a raw REPL is open already, so entering and leaving mean nothing."""

    def __init__(self, repl: RawRepl) -> None:
        self._repl = repl

    def enter_raw_repl(self) -> None:
        pass

    def exit_raw_repl(self) -> None:
        pass

    def exec_(self, command: str | bytes, stream_output: bool = False) -> bytes:
        try:
            return self._repl.run(command)
        except BoardError as error:
            raise device_error(error, self._repl.wire.name) from error


def ampy_files(repl: RawRepl) -> Files:
    """ampy's calls for the files of the board at `repl`, which is not asked for raw paste any more."""
    from ampy.files import Files

    repl.paste = False
    return Files(Pyboard(repl))
