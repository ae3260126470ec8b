"""The ampy transport: as paste, with ampy's put for the contents, so that firmware/link stays loaded between its calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from provisioning.link.repl import RawRepl
from provisioning.link.transport.ampy_files import ampy_files
from provisioning.link.transport.paste import PasteSession


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
