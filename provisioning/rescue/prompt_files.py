"""The files of a board at its raw prompt, with the same calls as blocks.Files: what is read and written is proven by a SHA-256 there."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator

from provisioning.errors import BoardError
from provisioning.link import agent
from provisioning.link.answer_check import checked, understood
from provisioning.link.repl import RETRY, DeviceException, LinkBroken, RawRepl
from provisioning.link.transport.ampy import ampy_files
from provisioning.link.transport.base import LITTLEFS

_FOLDER = 0x4000  # type of an entry that is a folder
_LINE = 384  # bytes of a file in one line of base64
_LINES = 256  # in one program: 96 KB, well below what a program may print
_CHUNK = 768  # bytes that one program brings; as base64 it fits a small heap
_TRIES = 3
_UNQUOTED = frozenset("'\\")  # ampy puts a path between quotes as it is


class PromptFiles:
    """Paths are absolute."""

    def __init__(self, repl: RawRepl) -> None:
        self._repl = repl

    def on_fat(self) -> bool:
        """Whether they lie on FAT, where no rename is safe from a power cut. Firmware of another kind does not tell."""
        try:
            head = bytes(checked(self._repl.value("head()", first=agent.small("head")), [int], self._repl.wire.name))
        except DeviceException:
            return False
        return LITTLEFS not in head

    def exists(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        try:
            return name in [entry[0] for entry in self._entries(folder or "/")]
        except DeviceException:
            return False  # there is no such folder

    def _entries(self, folder: str) -> list[tuple[str, int, int]]:
        """(name, type, size) of each."""
        found = self._repl.value(f"[(e[0],e[1],e[3])for e in __import__('uos').ilistdir({folder!r})]")
        with understood(self._repl.wire.name):
            return [(str(name), int(kind), int(size)) for name, kind, size in found]

    def walk(self) -> Iterator[tuple[str, bool, int]]:
        """(path, whether it is a folder, size in bytes) of everything, folders before what is in them."""
        yield from self._walk("/")

    def _walk(self, folder: str) -> Iterator[tuple[str, bool, int]]:
        for name, kind, size in self._entries(folder):
            path = f"{folder.rstrip('/')}/{name}"
            yield path, kind == _FOLDER, size
            if kind == _FOLDER:
                yield from self._walk(path)

    def read(self, path: str) -> bytes:
        for _ in range(_TRIES):
            try:
                content = self._content(path)
                if self.sha256(path) == hashlib.sha256(content).digest():
                    return content
            except (LinkBroken, binascii.Error):
                self._repl.enter()
        raise self._damaged(path)

    def _content(self, path: str) -> bytes:
        content = bytearray()
        while True:
            piece = self._piece(path, len(content))
            content += piece
            if len(piece) < _LINES * _LINE:
                return bytes(content)

    def _piece(self, path: str, offset: int) -> bytes:
        lines = self._repl.run(f"{agent.small('files')}lines({path!r},{offset},{_LINES},{_LINE})").split()
        return b"".join(base64.b64decode(line, validate=True) for line in lines)

    def sha256(self, path: str) -> bytes:
        """Of a file as the board reads it from its flash."""
        digest: bytes = checked(self._repl.value(f"sha({path!r})", first=agent.small("files")), bytes, self._repl.wire.name)
        return digest

    def rename(self, old: str, new: str) -> None:
        self._repl.run(f"import uos\nuos.rename({old!r},{new!r})")

    def remove(self, path: str) -> None:
        self._repl.run(f"import uos\nuos.remove({path!r})")

    def make_folder(self, path: str) -> None:
        self._repl.run(f"import uos\nuos.mkdir({path!r})")

    def write(self, path: str, content: bytes) -> None:
        """A new file, or another content in place of what is there."""
        wanted = hashlib.sha256(content).digest()
        for _ in range(_TRIES):
            try:
                self._put(path, content)
                if self.sha256(path) == wanted:
                    return
            except LinkBroken:
                self._repl.enter()
            except DeviceException as error:
                if "ENOSPC" in error.raised or "OSError: 28" in error.raised:
                    raise BoardError(
                        "flash-full", f"The board has no space for {path}.", "Remove files from it, then run the same command again."
                    ) from error
                raise
        raise self._damaged(path)

    def _put(self, path: str, content: bytes) -> None:
        self._repl.run(f"import ubinascii\nf=open({path!r},'wb')")
        for at in range(0, len(content), _CHUNK):
            text = base64.b64encode(content[at : at + _CHUNK]).decode()
            self._repl.run(f"f.write(ubinascii.a2b_base64('{text}'))")
        self._repl.run("f.close()")

    def _damaged(self, path: str) -> LinkBroken:
        return LinkBroken("line-noisy", f"{path} cannot be carried whole over {self._repl.wire.name}: the line damages it.", RETRY)


class AmpyFiles(PromptFiles):
    """The same on a board without raw paste mode: contents travel by ampy, and are proven as ever."""

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
