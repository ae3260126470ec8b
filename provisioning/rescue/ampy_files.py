"""The files of a board without raw paste mode (MicroPython older than 1.14): contents travel by adafruit-ampy, and are proven as ever."""

from __future__ import annotations

from provisioning.link.repl import RawRepl
from provisioning.link.transport.ampy_files import ampy_files
from provisioning.rescue.prompt_files import PromptFiles

_UNQUOTED = frozenset("'\\")  # ampy puts a path between quotes as it is


class AmpyFiles(PromptFiles):
    """Paths are absolute."""

    def __init__(self, repl: RawRepl) -> None:
        super().__init__(repl)
        self._ampy = ampy_files(repl)

    def _content(self, path: str) -> bytes:
        return super()._content(path) if _UNQUOTED & set(path) else bytes(self._ampy.get(path))

    def _put(self, path: str, content: bytes) -> None:
        if _UNQUOTED & set(path):
            super()._put(path, content)
        else:
            self._ampy.put(path, content)
