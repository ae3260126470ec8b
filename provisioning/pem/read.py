"""The blocks of a file of certificates or keys, whatever form it has, and the one certificate or key that was asked for.

Texts around PEM blocks are skipped. DER, PKCS#7 of certificates and base64 without its two lines are read as well. What is there and is
not what was wanted is named, with the command that helps: Unreadable has both.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

from provisioning.pem import kinds
from provisioning.pem.kinds import CERTIFICATE, KEY, PemKind
from provisioning.pem.text import BEGIN, plain
from provisioning.pem.tlv import OID, DerError, oid, parse

_END, _DASHES = b"-----END ", b"-----"
_MAX_LABEL = 64
_DROPPED = b" \t\r\n\f\v\\\"',\0"  # what indentation, JSON and C leave between the characters of base64
_SIGNED_DATA = "1.2.840.113549.1.7.2"  # RFC 2315 14
_CERTIFICATES_FIELD = 0xA0  # [0] of ContentInfo and of SignedData
_WANTED = {CERTIFICATE: "a certificate", KEY: "a private key"}
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]{64,}={0,2}\s*")


class Unreadable(DerError):
    """The file holds something else, or is damaged. The text begins with "it" and repeats nothing of the file; `kind`: what it is,
    where that is known."""

    def __init__(self, reason: str, kind: PemKind | None = None, wanted: str = CERTIFICATE) -> None:
        super().__init__(reason)
        self.kind = kind
        self._wanted = wanted

    def hint(self, file: str) -> str:
        """The next step, mostly one command."""
        return (
            self.kind.help(self._wanted, file) if self.kind else "Get the file again, or `twinroot trust check` every file that may be it."
        )


@dataclass(frozen=True)
class PemBlock:
    """One block: what it is, the label it has or would have in PEM, and its DER (empty where that cannot be read without a password)."""

    kind: PemKind
    label: str
    der: bytes = field(repr=False)


def encode(label: str, der: bytes) -> bytes:
    """One PEM block in canonical form: 64 columns, newline ends."""
    body = base64.b64encode(der)
    lines = [body[i : i + 64] for i in range(0, len(body), 64)]
    return b"\n".join([f"-----BEGIN {label}-----".encode(), *lines, f"-----END {label}-----".encode(), b""])


def blocks(data: bytes) -> list[PemBlock]:
    """All blocks of a file, in one pass; certificates inside PKCS#7 as blocks of their own. Raises Unreadable: at least one is there."""
    try:
        text = plain(data)
        if BEGIN in text:
            return [each for found in _pem(text) for each in _opened(found)]
        return _opened(_without_lines(text))
    except Unreadable:
        raise
    except DerError as error:
        raise Unreadable(str(error)) from error


def certificates(data: bytes) -> list[bytes]:
    """The DER of every certificate, in the order of the file. Raises Unreadable where there is none."""
    return [_whole(each).der for each in wanted(blocks(data), CERTIFICATE)]


def key(data: bytes) -> PemBlock:
    """The one private key. Raises Unreadable."""
    found = wanted(blocks(data), KEY)
    if len(found) > 1:
        raise Unreadable(f"it holds {len(found)} private keys, and it is not known which one is meant", None, KEY)
    return _whole(found[0])


def _whole(block: PemBlock) -> PemBlock:
    """`block`, whose DER ends where its length says: catches cut and joined files whatever is inside. Raises Unreadable."""
    try:
        if parse(block.der).end == len(block.der):
            return block
    except DerError:
        pass
    raise Unreadable(f"the data of its {block.label} are damaged")


def wanted(found: list[PemBlock], role: str) -> list[PemBlock]:
    """The blocks of this role. Raises Unreadable, which names what is there, when there is none."""
    good = [each for each in found if each.kind.role == role]
    if good:
        return good
    # Of a certificate and an encrypted key the key is the trouble where a key is wanted.
    word = "key" if role == KEY else "certificate"
    named = sorted(found, key=lambda each: word not in each.kind.name)
    kind = named[0].kind
    what = kind.what if kind is not kinds.UNKNOWN else f"a block {named[0].label}"
    form = "is neither PEM nor DER, it " if kind.magic and not named[0].label else ""
    raise Unreadable(f"it {form}holds {what}, and {_WANTED[role]} is needed", kind, role)


def _pem(data: bytes) -> list[PemBlock]:
    found: list[PemBlock] = []
    at = data.find(BEGIN)
    while at >= 0:
        number = len(found) + 1
        label, body = _label(data, at + len(BEGIN), number)
        end = data.find(_DASHES, body)
        if end < 0 or not data.startswith(_END, end):
            raise Unreadable(f"its PEM block {number} ({label}) has no end")
        closing, after = _label(data, end + len(_END), number)
        if closing != label:
            raise Unreadable(f"its PEM block {number} begins as {label} and ends as {closing}")
        found.append(_block(label, data[body:end], number))
        at = data.find(BEGIN, after)
    return found


def _block(label: str, body: bytes, number: int) -> PemBlock:
    kind = kinds.by_label(label)
    if b"Proc-Type" in body:  # OpenSSL's own form of encryption (RFC 1421 headers)
        return PemBlock(kinds.by_label("ENCRYPTED PRIVATE KEY"), f"ENCRYPTED {label}", b"")
    if kind.name in ("openssh-key", "pgp"):  # no DER inside
        return PemBlock(kind, label, b"")
    try:
        return PemBlock(kind, label, base64.b64decode(body.translate(None, _DROPPED), validate=True))
    except binascii.Error as error:
        raise Unreadable(f"its PEM block {number} ({label}) is not base64") from error


def _without_lines(data: bytes) -> PemBlock:
    """What is no PEM: DER, base64 alone, or known by its first bytes."""
    kind = kinds.by_magic(data)
    if kind is None and data[:1] == b"\x30":
        kind = kinds.by_shape(data) or kinds.by_label("CERTIFICATE")  # as damaged as it is, the parser of certificates says where
        return PemBlock(kind, kind.labels[0], data)
    if kind is None and _BASE64.fullmatch(data):
        try:
            der = base64.b64decode(data.translate(None, _DROPPED), validate=True)
        except binascii.Error:
            der = b""
        kind = kinds.by_shape(der)
        if kind is not None:
            return PemBlock(kind, kind.labels[0], der)
    if kind is not None:
        return PemBlock(kind, "", b"")
    if b"BEGIN CERTIFICATE" in data or b"PRIVATE KEY" in data:
        raise Unreadable("it is PEM whose lines BEGIN and END are damaged: five hyphens stand on each side")
    raise Unreadable("it is neither PEM nor DER")


def _opened(block: PemBlock) -> list[PemBlock]:
    """The certificates inside a PKCS#7, anything else as it is."""
    if block.kind.name != "pkcs7":
        return [block]
    return [PemBlock(kinds.by_label("CERTIFICATE"), "PKCS7", der) for der in _from_pkcs7(block.der)] or [block]


def _from_pkcs7(data: bytes) -> list[bytes]:
    """The certificates of a SignedData (RFC 2315 9.1)."""
    parts = parse(data).children()
    if len(parts) < 2 or parts[0].tag != OID or oid(parts[0]) != _SIGNED_DATA:
        raise DerError("it is PKCS#7 of a kind that holds no certificates")
    signed = parts[1].children()
    fields = signed[0].children() if signed else []
    held = next((f for f in fields if f.tag == _CERTIFICATES_FIELD), None)
    return [c.raw for c in held.children()] if held else []


def _label(data: bytes, start: int, number: int) -> tuple[str, int]:
    """The label that begins at `start`, and where the line's dashes end."""
    end = data.find(_DASHES, start, start + _MAX_LABEL + len(_DASHES))
    text = data[start:end]
    if end < 0 or not text.isascii() or not text.decode().replace(" ", "").isalnum():
        raise Unreadable(f"the first or last line of its PEM block {number} is damaged")
    return text.decode(), end + len(_DASHES)
