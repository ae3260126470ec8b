"""DER (X.690) as elements of tag, length and value; what they mean is the business of those who ask.

Every malformed input raises DerError, a ValueError with one sentence; nothing else leaves this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

# Universal tags (X.690 8.1.2).
BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID, UTC_TIME, GENERALIZED_TIME = 0x01, 0x02, 0x03, 0x04, 0x06, 0x17, 0x18
SEQUENCE, SET = 0x30, 0x31
_MAX_OID = 64  # bytes; real ones have about 10


class DerError(ValueError):
    """The bytes are not the DER structure that was asked for."""


@dataclass(frozen=True)
class TlvItem:
    """One tag-length-value: `data[start:end]` is the whole element, `data[body:end]` its value."""

    data: bytes = field(repr=False)
    tag: int
    start: int
    body: int
    end: int

    @property
    def raw(self) -> bytes:
        return self.data[self.start : self.end]

    @property
    def value(self) -> bytes:
        return self.data[self.body : self.end]

    def children(self) -> list[TlvItem]:
        return list(_items(self.data, self.body, self.end))


def parse(data: bytes, pos: int = 0) -> TlvItem:
    """The element at `pos`. DER only: definite, minimal lengths; one-byte tags (all that X.509 uses)."""
    if pos + 2 > len(data):
        raise DerError(f"the data ends in the middle of an element, at byte {pos}")
    tag, length, body = data[pos], data[pos + 1], pos + 2
    if tag & 0x1F == 0x1F:
        raise DerError(f"byte {pos} starts a tag that certificates do not use")
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:
            raise DerError(f"the length at byte {pos + 1} is not DER")
        if body + count > len(data):
            raise DerError(f"the data ends in the middle of a length, at byte {body}")
        length = int.from_bytes(data[body : body + count], "big")
        body += count
        if length < 0x80 or length >> (8 * (count - 1)) == 0:
            raise DerError(f"the length at byte {pos + 1} is not in its shortest form")
    if body + length > len(data):
        raise DerError(f"an element at byte {pos} wants {length} bytes, and {len(data) - body} are there")
    return TlvItem(data, tag, pos, body, body + length)


def expect(item: TlvItem, tag: int, what: str) -> bytes:
    """The value of an element of this tag, not empty."""
    if item.tag != tag or not item.value:
        raise DerError(f"byte {item.start} is not {what}")
    return item.value


def oid(item: TlvItem) -> str:
    """An object identifier in dots."""
    value = expect(item, OID, "an object identifier")
    if len(value) > _MAX_OID:
        raise DerError(f"the object identifier at byte {item.start} has {len(value)} bytes")
    numbers, number = [], 0
    for byte in value:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    if value[-1] & 0x80:
        raise DerError(f"the object identifier at byte {item.start} is cut short")
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))


def _items(data: bytes, pos: int, end: int) -> Iterator[TlvItem]:
    while pos < end:
        item = parse(data, pos)
        if item.end > end:
            raise DerError(f"the element at byte {pos} is longer than the one that holds it")
        yield item
        pos = item.end
