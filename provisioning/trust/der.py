"""X.509 certificates read from DER (X.690, RFC 5280), as far as trust decisions need them.

Why not `cryptography.x509`: it announces that certificates with serial number 0 will be refused, and Starfield Services Root CA - G2,
which anchors AWS chains by cross-signing, carries serial number 0. It also refuses to verify SHA-1 self-signatures, and VeriSign's root has
one. Signatures are still verified by `cryptography` (see signature.py); only the container is read here.

Every malformed input raises DerError, a ValueError with one sentence; nothing else leaves this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone

from provisioning.pem.tlv import (
    BIT_STRING,
    BOOLEAN,
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    UTC_TIME,
    DerError,
    TlvItem,
    expect,
    oid,
    parse,
)

# Context tags of RFC 5280 4.1.
VERSION, ISSUER_ID, SUBJECT_ID, EXTENSIONS = 0xA0, 0x81, 0x82, 0xA3

# Attribute types with a short name in RFC 4514; others print as their number.
ATTRIBUTE = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
}

BASIC_CONSTRAINTS, KEY_USAGE, SUBJECT_ALT_NAME, EXTENDED_KEY_USAGE = "2.5.29.19", "2.5.29.15", "2.5.29.17", "2.5.29.37"
KEY_CERT_SIGN = 5  # bit number of KeyUsage, RFC 5280 4.2.1.3

# String types of a name (RFC 5280 4.1.2.4) and how their bytes decode.
STRING_CODEC = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be", 0x1C: "utf-32-be"}


@dataclass(frozen=True)
class Certificate:
    """The fields of one certificate. Names are RFC 4514 text; `issuer_raw` and `subject_raw` are for comparing; times are UTC."""

    der: bytes = field(repr=False)
    tbs: bytes = field(repr=False)
    version: int
    serial: int
    signature_oid: str
    signature: bytes = field(repr=False)
    issuer: str
    subject: str
    issuer_raw: bytes = field(repr=False)
    subject_raw: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime
    spki: bytes = field(repr=False)
    ca: bool
    path_length: int | None
    key_usage: frozenset[int] | None
    dns_names: tuple[str, ...]
    has_alt_names: bool = False  # the extension is there, whatever it holds
    extended_key_usage: frozenset[str] | None = None  # object identifiers

    @property
    def self_issued(self) -> bool:
        return self.issuer_raw == self.subject_raw

    @property
    def may_sign(self) -> bool:
        """May it sign certificates? A key usage, when there is one, must say so."""
        return self.ca and (self.key_usage is None or KEY_CERT_SIGN in self.key_usage)

    @property
    def common_name(self) -> str | None:
        return _common_name(self.subject_raw)


def certificate(data: bytes) -> Certificate:
    """The certificate in `data`, which must hold exactly one. Raises DerError."""
    outer = parse(data)
    if outer.end != len(data):
        raise DerError(f"{len(data) - outer.end} bytes follow the certificate")
    parts = _sequence(outer, "the certificate", 3)
    tbs, algorithm, signature = parts[0], parts[1], _bits(parts[2])
    fields = iter(_sequence(tbs, "the certificate's body", 6))
    item = next(fields)
    version = 1
    if item.tag == VERSION:
        inner = item.children()
        version = _integer(inner[0]) + 1 if inner else 0
        item = next(fields)
    serial = _integer(item)
    rest = list(fields)
    if len(rest) < 5:
        raise DerError("the certificate's body has too few fields")
    inner_algorithm, issuer, validity, subject, spki = rest[:5]
    if inner_algorithm.raw != algorithm.raw:
        raise DerError("the certificate names two different signature algorithms")
    times = _sequence(validity, "the validity", 2)
    extensions = _extensions(rest[5:])
    ca, path_length = _basic_constraints(extensions.get(BASIC_CONSTRAINTS))
    return Certificate(
        der=data,
        tbs=tbs.raw,
        version=version,
        serial=serial,
        signature_oid=algorithm_oid(algorithm),
        signature=signature,
        issuer=name_text(issuer),
        subject=name_text(subject),
        issuer_raw=issuer.raw,
        subject_raw=subject.raw,
        not_before=_time(times[0]),
        not_after=_time(times[1]),
        spki=spki.raw,
        ca=ca,
        path_length=path_length,
        key_usage=_key_usage(extensions.get(KEY_USAGE)),
        dns_names=_dns_names(extensions.get(SUBJECT_ALT_NAME)),
        has_alt_names=SUBJECT_ALT_NAME in extensions,
        extended_key_usage=_extended(extensions.get(EXTENDED_KEY_USAGE)),
    )


def name_text(name: TlvItem) -> str:
    """A distinguished name as RFC 4514 writes it: last attribute first, commas escaped."""
    parts = []
    for kind, text in reversed(list(_attributes(name))):
        escaped = "".join(_escaped(c) for c in text)
        parts.append(f"{ATTRIBUTE.get(kind, kind)}={escaped}")
    return ",".join(parts)


def _escaped(character: str) -> str:
    """RFC 4514 2.4: separators behind a backslash; so, as their UTF-8 in hex, what cannot be printed."""
    if character in ',+"\\<>;':
        return "\\" + character
    if character.isprintable():
        return character
    return "".join(f"\\{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def algorithm_oid(item: TlvItem) -> str:
    """The object identifier of an AlgorithmIdentifier."""
    return oid(_sequence(item, "an algorithm", 1)[0])


def _sequence(item: TlvItem, what: str, least: int) -> list[TlvItem]:
    if item.tag != SEQUENCE:
        raise DerError(f"{what} at byte {item.start} is not a sequence")
    found = item.children()
    if len(found) < least:
        raise DerError(f"{what} has {len(found)} fields instead of {least}")
    return found


def _integer(item: TlvItem) -> int:
    return int.from_bytes(expect(item, INTEGER, "a number"), "big", signed=True)


def _bits(item: TlvItem) -> bytes:
    value = expect(item, BIT_STRING, "a bit string")
    if value[0] > 7:
        raise DerError(f"the bit string at byte {item.start} counts {value[0]} unused bits")
    return value[1:]


def _time(item: TlvItem) -> datetime:
    form = {UTC_TIME: "%y%m%d%H%M%SZ", GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}.get(item.tag)
    if form is None:
        raise DerError(f"byte {item.start} is not a time")
    try:
        text = item.value.decode("ascii")
        parsed = datetime.strptime(text, form)
        if item.tag == UTC_TIME:  # RFC 5280 4.1.2.5.1: two digits below 50 mean 20xx; strptime turns at 69
            year = int(text[:2])
            parsed = parsed.replace(year=2000 + year if year < 50 else 1900 + year)
    except ValueError as e:
        raise DerError(f"the time at byte {item.start} is malformed") from e
    return parsed.replace(tzinfo=timezone.utc)


def _attributes(name: TlvItem) -> Iterator[tuple[str, str]]:
    for group in _sequence(name, "a name", 0):
        for attribute in group.children():
            kind, value = _sequence(attribute, "a name's attribute", 2)[:2]
            try:
                text = value.value.decode(STRING_CODEC.get(value.tag, "latin-1"))
            except UnicodeDecodeError as e:
                raise DerError(f"the name at byte {value.start} is not text") from e
            yield oid(kind), text


def _common_name(raw: bytes) -> str | None:
    return next((text for kind, text in _attributes(parse(raw)) if kind == "2.5.4.3"), None)


def _extensions(trailer: list[TlvItem]) -> dict[str, TlvItem]:
    found: dict[str, TlvItem] = {}
    for item in trailer:
        if item.tag != EXTENSIONS:
            continue
        inner = item.children()
        if not inner:
            raise DerError("the extensions are empty")
        for extension in _sequence(inner[0], "the extensions", 0):
            parts = _sequence(extension, "an extension", 2)
            kind = oid(parts[0])
            if kind in found:
                raise DerError(f"the extension {kind} is there twice")
            found[kind] = parse(expect(parts[-1], OCTET_STRING, "an extension's value"))
    return found


def _basic_constraints(item: TlvItem | None) -> tuple[bool, int | None]:
    ca, path_length = False, None
    for part in _sequence(item, "the basic constraints", 0) if item else ():
        if part.tag == BOOLEAN:
            ca = expect(part, BOOLEAN, "yes or no") != b"\0"
        elif part.tag == INTEGER:
            path_length = _integer(part)
    return ca, path_length


def _key_usage(item: TlvItem | None) -> frozenset[int] | None:
    if item is None:
        return None
    bits = _bits(item)
    return frozenset(8 * i + j for i, byte in enumerate(bits) for j in range(8) if byte & 0x80 >> j)


def _extended(item: TlvItem | None) -> frozenset[str] | None:
    return None if item is None else frozenset(oid(i) for i in _sequence(item, "the extended key usage", 0))


def _dns_names(item: TlvItem | None) -> tuple[str, ...]:
    names = _sequence(item, "the alternative names", 0) if item else []
    return tuple(n.value.decode("latin-1") for n in names if n.tag == 0x82)
