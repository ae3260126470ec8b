"""SLIP framing (RFC 1055) as the ROM loader uses it.

The virtual board's loader has its own (virtual/slip.py), so that the two are held against each other.
"""

from __future__ import annotations

_END = b"\xc0"


def encode(packet: bytes) -> bytes:
    """The packet as a frame, an end on either side."""
    return _END + packet.replace(b"\xdb", b"\xdb\xdd").replace(_END, b"\xdb\xdc") + _END


def take(data: bytearray) -> bytes | None:
    """The first whole frame in `data`, unescaped, which is removed with what came before it; None where there is none yet."""
    _, start, rest = bytes(data).partition(_END)
    frame, end, rest = rest.lstrip(_END).partition(_END)  # two ends in a row: the second begins the frame
    if not (start and end):
        return None
    data[:] = rest
    return frame.replace(b"\xdb\xdc", _END).replace(b"\xdb\xdd", b"\xdb")
