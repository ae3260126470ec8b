"""The code that is sent to a board: firmware/link, made small, packed so that raw paste carries it nearly as bytes."""

from __future__ import annotations

import zlib
from functools import lru_cache

from provisioning.link.minify import minify
from provisioning.resources import folder

# Functions of firmware/link/ops.py that a host calls by name, and what the host defines for receiver.py.
KEEP = frozenset(
    "hello audit prepare begin target settle commit tidy back plan WAIT WBITS LEAVE".split(),
)

# Bytes that must not occur inside the literal: control characters that the raw REPL takes for itself (A to E), what a lexer
# or a terminal rewrites (CR, LF), software flow control, and what ends or escapes the literal.
_ESCAPED = {byte: b"\\x%02x" % byte for byte in (*range(1, 6), 0x0A, 0x0D, 0x11, 0x13)} | {
    0x00: b"\\0",
    0x0A: b"\\n",
    0x0D: b"\\r",
    0x27: b"\\'",
    0x5C: b"\\\\",
}
_DIGITS = frozenset(b"01234567")


def literal(data: bytes) -> bytes:
    """`data` as the source of a bytes literal that keeps almost every byte as it is."""
    out = bytearray(b"b'")
    for index, byte in enumerate(data):
        text = _ESCAPED.get(byte)
        if text is None:
            out.append(byte)
        elif byte == 0 and index + 1 < len(data) and data[index + 1] in _DIGITS:
            out += b"\\x00"
        else:
            out += text
    return bytes(out + b"'")


def packed(source: str) -> bytes:
    """A program that unpacks `source` on the board and runs it; needs the deflate module there (MicroPython 1.21)."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 12, 9)
    data = squeeze.compress(source.encode()) + squeeze.flush()
    return b"import io,deflate\nexec(deflate.DeflateIO(io.BytesIO(" + literal(data) + b")).read())"


@lru_cache(maxsize=4)
def small(*names: str) -> str:
    """The files firmware/link/<name>.py after one another, as one minified program."""
    base = folder("firmware") / "link"
    return minify("".join((base / f"{name}.py").read_text(encoding="utf-8") for name in names), KEEP)


def receiver(wait_ms: int, wbits: int, leave: str) -> bytes:
    """The streaming agent. `leave` is the statement that undoes a baud raise on every way out."""
    head = f"import micropython\nWAIT={wait_ms}\nWBITS={wbits}\ndef LEAVE():\n {leave}\n"
    return packed(head + small("ops", "receiver"))
