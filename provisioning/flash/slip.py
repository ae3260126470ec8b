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
    while True:
        start = data.find(_END)
        end = data.find(_END, start + 1) if start >= 0 else -1
        if end < 0:
            return None
        frame = bytes(data[start + 1 : end])
        if frame:
            del data[: end + 1]
            return frame.replace(b"\xdb\xdc", _END).replace(b"\xdb\xdd", b"\xdb")
        del data[: start + 1]  # two ends in a row: the second begins the frame
