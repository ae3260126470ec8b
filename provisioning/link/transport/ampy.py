"""The ampy transport: adafruit-ampy's own Files, for firmware older than raw paste (MicroPython 1.14) and forks without it.

ampy's Files gets a pyboard that runs over our wire: its calls have deadlines, any URL works, and the board is not reset at every
call, so firmware/link stays loaded between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from provisioning.errors import BoardError
from provisioning.link.repl import RawRepl
from provisioning.link.transport.base import device_error
from provisioning.link.transport.paste import PasteSession


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


class AmpySession(PasteSession):
    """As paste, with ampy's put for the contents and plain ASCII everywhere."""

    name = "ampy"

    def __init__(self, repl: RawRepl, **options: Any) -> None:
        from ampy.files import Files

        repl.paste = False
        self._files = Files(Pyboard(repl))
        super().__init__(repl, **options)

    def literal(self, data: bytes) -> bytes:
        return repr(data).encode()

    def _put(self, index: int, content: bytes, mode: str) -> Iterator[int]:
        if mode == "a+b":  # ampy writes whole files only
            yield from super()._put(index, content, mode)
            return
        self._files.put(self.repl.run(f"print(target({index}))").decode("utf-8", "replace").strip(), content)
        yield len(content)
