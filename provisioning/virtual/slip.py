"""SLIP framing (RFC 1055) as the serial loader uses it: frames begin and end with 0xc0."""

from __future__ import annotations

END, ESC, ESC_END, ESC_ESC = 0xC0, 0xDB, 0xDC, 0xDD
FRAME_END = bytes([END])
_LONGEST = 0x10000 + 64  # bytes; a longer frame is noise


def encode(payload: bytes) -> bytes:
    body = payload.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
    return b"\xc0" + body + b"\xc0"


class Decoder:
    """Feeds on bytes, gives whole frames. Bytes between frames and frames with a wrong escape are dropped, as the ROM does."""

    def __init__(self) -> None:
        self._frame: bytearray | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that these bytes complete, without empty ones."""
        frames: list[bytes] = []
        pieces = data.split(b"\xc0")
        for i, piece in enumerate(pieces):
            if i > 0:
                if self._frame:
                    payload = _unescape(bytes(self._frame))
                    if payload is not None:
                        frames.append(payload)
                    self._frame = None
                else:
                    self._frame = bytearray()
            if self._frame is not None and piece:
                self._frame += piece
                if len(self._frame) > 2 * _LONGEST:
                    self._frame = None
        return frames


def _unescape(frame: bytes) -> bytes | None:
    at = frame.find(ESC)
    if at < 0:
        return frame
    out = bytearray()
    start = 0
    while at >= 0:
        out += frame[start:at]
        code = frame[at + 1] if at + 1 < len(frame) else -1
        if code == ESC_END:
            out.append(END)
        elif code == ESC_ESC:
            out.append(ESC)
        else:
            return None
        start = at + 2
        at = frame.find(ESC, start)
    return bytes(out + frame[start:])
