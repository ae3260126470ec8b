"""PEM (RFC 7468) blocks: strict about what is between the lines, indifferent to what is around them."""

from __future__ import annotations

import base64
import binascii
import re

_BEGIN = re.compile(rb"^-----BEGIN ([A-Z0-9 ]{1,40})-----[ \t\r]*$", re.MULTILINE)
_MAX_BYTES = 200_000


def encode(label: str, der: bytes) -> bytes:
    """One block in canonical form: 64 columns, newline ends."""
    body = base64.b64encode(der)
    lines = [body[i : i + 64] for i in range(0, len(body), 64)]
    return b"\n".join([f"-----BEGIN {label}-----".encode(), *lines, f"-----END {label}-----".encode(), b""])


def blocks(data: bytes) -> list[tuple[str, bytes]]:
    """(label, DER) of each block. An encrypted key of the old form (Proc-Type header) is ("ENCRYPTED …", b"").

    Raises ValueError with a reason that repeats nothing of the file.
    """
    if len(data) > _MAX_BYTES:
        raise ValueError("the file is far too big")
    found: list[tuple[str, bytes]] = []
    for begin in _BEGIN.finditer(data):
        label = begin.group(1).decode()
        end = data.find(b"-----END " + begin.group(1) + b"-----", begin.end())
        body = data[begin.end() : end]
        if end < 0 or b"-----" in body:
            raise ValueError("a BEGIN line without its END line")
        if b"Proc-Type" in body:
            found.append((f"ENCRYPTED {label}", b""))
            continue
        try:
            der = base64.b64decode(b"".join(body.split()), validate=True)
        except binascii.Error:
            raise ValueError("the text between BEGIN and END is not base64") from None
        # A DER SEQUENCE whose length is the block's length: catches cut and joined blocks whatever is inside.
        if _sequence_size(der) != len(der):
            raise ValueError("the data between BEGIN and END is damaged")
        found.append((label, der))
    if not found:
        raise ValueError("there is no PEM block in the file")
    return found


def _sequence_size(der: bytes) -> int:
    """Bytes of the SEQUENCE at the start of `der`, header included; -1 where there is none."""
    if len(der) < 2 or der[0] not in (0x30, 0x06):  # 0x06: the curve's name in an EC PARAMETERS block
        return -1
    if der[1] < 0x80:
        return 2 + der[1]
    count = der[1] & 0x7F
    if not 1 <= count <= 4 or len(der) < 2 + count:
        return -1
    return 2 + count + int.from_bytes(der[2 : 2 + count], "big")
