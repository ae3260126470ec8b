"""adafruit-ampy's own Files on a board whose raw REPL is open already, for firmware older than raw paste (MicroPython 1.14) and forks
without it: the ampy transport, and the contents of files for rescue/prompt_files.py.

ampy's calls have our deadlines then, any URL works, and the board is not reset at every call, so firmware/link stays loaded between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from provisioning.errors import BoardError
from provisioning.link.repl import RawRepl
from provisioning.link.transport.base import device_error
from provisioning.link.transport.paste import PasteSession

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


class AmpySession(PasteSession):
    """As paste, with ampy's put for the contents and plain ASCII everywhere."""

    name = "ampy"

    def __init__(self, repl: RawRepl, **options: Any) -> None:
        self._files = ampy_files(repl)
        super().__init__(repl, **options)

    def literal(self, data: bytes) -> bytes:
        return repr(data).encode()

    def _put(self, index: int, content: bytes, mode: str) -> Iterator[int]:
        if mode == "a+b":  # ampy writes whole files only
            yield from super()._put(index, content, mode)
            return
        self._files.put(self.repl.run(f"print(target({index}))").decode("utf-8", "replace").strip(), content)
        yield len(content)
