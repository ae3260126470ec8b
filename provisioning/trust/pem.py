"""PEM (RFC 7468): base64 between two lines. Reads what people have: text around the blocks, CRLF, several blocks; or DER as it is."""

from __future__ import annotations

import base64
import binascii
import re

from provisioning.trust.der import DerError

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,64})-----\s(.*?)-----END ([A-Z0-9 ]{1,64})-----", re.DOTALL)
_CERTIFICATE = ("CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CERTIFICATE")

# A bundle of every public root there is has about 250 kB; more than this is not a file of certificates.
LIMIT = 4 << 20


def encode(der: bytes) -> bytes:
    """One CERTIFICATE block: 64 characters a line, "\\n" at each end."""
    text = base64.b64encode(der)
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return b"\n".join([b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""])


def blocks(data: bytes) -> list[tuple[str, bytes]]:
    """All blocks as (label, DER). Raises DerError when a block is damaged or none is there."""
    found = []
    for begin, body, end in _BLOCK.findall(data):
        label = begin.decode()
        if begin != end:
            raise DerError(f"a PEM block begins as {label} and ends as {end.decode()}")
        try:
            found.append((label, base64.b64decode(b"".join(body.split()), validate=True)))
        except binascii.Error as e:
            raise DerError(f"block {len(found) + 1} ({label}) is not base64") from e
    begun = data.count(b"-----BEGIN ")
    if begun > len(found):
        raise DerError(f"it begins {begun} PEM blocks and completes {len(found)}")
    if not found:
        raise DerError("it is neither PEM nor DER")
    return found


def certificates(data: bytes) -> list[bytes]:
    """The DER of every certificate in a PEM or DER file, in its order. Raises DerError."""
    if len(data) > LIMIT:
        raise DerError(f"it has {len(data)} bytes, and no file of certificates is so large")
    if not data.strip():
        raise DerError("it is empty")
    if data[:1] == b"\x30":
        return [data]
    found = [der for label, der in blocks(data) if label in _CERTIFICATE]
    if not found:
        raise DerError(f"it holds no certificate, only {', '.join(sorted({label for label, _ in blocks(data)}))}")
    return found
