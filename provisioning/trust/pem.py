"""PEM (RFC 7468): base64 between two lines. Reads what people have: text around the blocks, CRLF, several blocks; or DER as it is."""

from __future__ import annotations

import base64
import binascii

from provisioning.trust.der import DerError

CERTIFICATE = ("CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CERTIFICATE")

# A bundle of every public root there is has about 250 kB; more than this is not a file of certificates.
LIMIT = 1 << 20

_BEGIN, _END, _DASHES = b"-----BEGIN ", b"-----END ", b"-----"
_MAX_LABEL = 64
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def encode(der: bytes) -> bytes:
    """One CERTIFICATE block: 64 characters a line, "\\n" at each end."""
    text = base64.b64encode(der)
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return b"\n".join([b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""])


def is_pem(data: bytes) -> bool:
    return _BEGIN in data


def refuse_hopeless(data: bytes) -> None:
    """Raises DerError on what cannot hold a certificate in any form."""
    if len(data) > LIMIT:
        raise DerError(f"it has {len(data)} bytes, and no file of certificates is so large")
    if not data.strip():
        raise DerError("it is empty")
    if data.startswith(_UTF16):
        raise DerError("it is UTF-16 text; save it as ASCII or UTF-8")


def blocks(data: bytes) -> list[tuple[str, bytes]]:
    """All blocks as (label, DER), in one pass. Raises DerError when a block is damaged or none is there."""
    found: list[tuple[str, bytes]] = []
    at = data.find(_BEGIN)
    while at >= 0:
        number = len(found) + 1
        label, body = _label(data, at + len(_BEGIN), number)
        end = data.find(_DASHES, body)
        if end < 0 or not data.startswith(_END, end):
            raise DerError(f"PEM block {number} ({label}) has no end")
        closing, after = _label(data, end + len(_END), number)
        if closing != label:
            raise DerError(f"PEM block {number} begins as {label} and ends as {closing}")
        try:
            found.append((label, base64.b64decode(b"".join(data[body:end].split()), validate=True)))
        except binascii.Error as e:
            raise DerError(f"PEM block {number} ({label}) is not base64") from e
        at = data.find(_BEGIN, after)
    if not found:
        raise DerError("it is neither PEM nor DER")
    return found


def certificates(data: bytes) -> list[bytes]:
    """The DER of every certificate in a PEM or DER file, in its order. Raises DerError."""
    refuse_hopeless(data)
    if not is_pem(data) and data[:1] == b"\x30":
        return [data]
    found = blocks(data)
    ders = [der for label, der in found if label in CERTIFICATE]
    if not ders:
        raise DerError(f"it holds no certificate, only {', '.join(sorted({label for label, _ in found}))}")
    return ders


def _label(data: bytes, start: int, number: int) -> tuple[str, int]:
    """The label that begins at `start`, and where the line's dashes end."""
    end = data.find(_DASHES, start, start + _MAX_LABEL + len(_DASHES))
    text = data[start:end]
    if end < 0 or not text.isascii() or not text.decode().replace(" ", "").isalnum():
        raise DerError(f"the first or last line of PEM block {number} is damaged")
    return text.decode(), end + len(_DASHES)
