"""What editors, shells and headers do to a PEM text, undone: byte-order marks, UTF-16, escapes of JSON and C."""

from __future__ import annotations

import re

from provisioning.pem.tlv import DerError

# A bundle of every public root there is has about 250 kB; more than this is not a file of certificates.
LIMIT = 1 << 20
BEGIN = b"-----BEGIN "

_SNIFF = 256  # bytes of the beginning that tell UTF-16 without a mark from anything else
# PowerShell's `>` and Windows's editor write the first, an editor set to big-endian the second.
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
# "\n" and "\r" as two characters, "\u002b" for "+", "\/" for "/": JSON, C headers, environment variables and YAML leave them in a text.
_ESCAPE = re.compile(rb"\\(?:[nr]|u00[0-9a-fA-F]{2}|[tN/\\\"'])")
_MEANT = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"N": b"\n", b"/": b"/", b"\\": b"\\", b'"': b'"', b"'": b"'"}


def plain(data: bytes) -> bytes:
    """`data` as the text it was meant to be: ASCII where it is PEM, unchanged where it is not text. Raises DerError on what is hopeless."""
    if len(data) > LIMIT:
        raise DerError(f"it has {len(data)} bytes, and no file of certificates is so large")
    for mark, codec in _MARKS:
        if data.startswith(mark):
            data = _decoded(data[len(mark) :], codec)
            break
    else:
        head = data[:_SNIFF]
        if b"-\0-\0" in head and head.count(0) * 3 > len(head):
            at = head.index(b"-\0-\0")
            data = _decoded(data, "utf-16-le" if at % 2 == 0 else "utf-16-be")
    if not data.strip(b" \t\r\n\f\v\0"):
        raise DerError("it is empty" if not data.strip(b" \t\r\n\f\v") else "it holds nothing but zero bytes")
    return unescaped(data) if BEGIN in data and b"\\" in data else data


def unescaped(data: bytes) -> bytes:
    """Escapes of JSON and C as the characters they stand for, once: `\\\\n`, which a shell leaves of `\\n`, as well."""
    return _ESCAPE.sub(lambda found: _meant(found.group()[1:]), data.replace(b"\\\\", b"\\"))


def _meant(escape: bytes) -> bytes:
    return bytes([int(escape[3:], 16)]) if escape[:1] == b"u" else _MEANT[escape]


def _decoded(data: bytes, codec: str) -> bytes:
    try:
        return data.decode(codec).encode()
    except UnicodeError:
        raise DerError(f"it begins as {codec.upper()} text and is none; save it as ASCII or UTF-8") from None
