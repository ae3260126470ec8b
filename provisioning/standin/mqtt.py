"""As much of MQTT 3.1.1 as it takes to watch a connection and to take part in one: MQTT-3.1.1 section 2 and 3."""

from __future__ import annotations

from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 13, 14
NOT_AUTHORIZED = 5
# Largest packet the stand-in reads; limits.py refuses what AWS IoT Core does.
LARGEST = 256 * 1024


class NotMqtt(ValueError):
    """The bytes are not MQTT 3.1.1."""


@dataclass(frozen=True)
class Packet:
    """A control packet: its type, the flags of its first byte, and what follows the length."""

    kind: int
    flags: int
    body: bytes


class Parser:
    """Cuts a byte stream into packets; bytes may arrive in any portions."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Packet]:
        self._buffer += data
        packets: list[Packet] = []
        while (packet := self._next()) is not None:
            packets.append(packet)
        return packets

    def _next(self) -> Packet | None:
        length = 0
        for index in range(1, 5):
            if index >= len(self._buffer):
                return None
            byte = self._buffer[index]
            length |= (byte & 0x7F) << 7 * (index - 1)
            if byte < 0x80:
                break
        else:
            raise NotMqtt("the remaining length has more than four bytes")
        if length > LARGEST:
            raise NotMqtt(f"a packet of {length} bytes")
        end = index + 1 + length
        if len(self._buffer) < end:
            return None
        packet = Packet(self._buffer[0] >> 4, self._buffer[0] & 0x0F, bytes(self._buffer[index + 1 : end]))
        del self._buffer[:end]
        return packet


def _text(body: bytes, at: int) -> tuple[str, int]:
    end = at + 2 + int.from_bytes(body[at : at + 2], "big")
    if len(body) < end:
        raise NotMqtt("a string that ends after its packet")
    return body[at + 2 : end].decode("utf-8", "replace"), end


def client_id(connect: Packet) -> str:
    """The client identifier of a CONNECT: it follows the protocol's name, level, flags and keep-alive."""
    _protocol, at = _text(connect.body, 0)
    return _text(connect.body, at + 4)[0]


def protocol_level(connect: Packet) -> int:
    """4 in MQTT 3.1.1, 5 in MQTT 5: the byte behind the protocol's name."""
    _protocol, at = _text(connect.body, 0)
    return connect.body[at] if at < len(connect.body) else 0


def subscribed(subscribe: Packet) -> list[tuple[str, int]]:
    """The topic filters of a SUBSCRIBE and the quality of service asked for each."""
    wanted, at = [], 2
    while at < len(subscribe.body):
        topic, at = _text(subscribe.body, at)
        if at >= len(subscribe.body):
            raise NotMqtt("a topic filter without a quality of service")
        wanted.append((topic, subscribe.body[at] & 3))
        at += 1
    return wanted


def published(publish: Packet) -> tuple[str, bytes]:
    """Topic and payload of a PUBLISH; QoS 1 and 2 put a packet identifier between them."""
    topic, at = _text(publish.body, 0)
    return topic, publish.body[at + (2 if publish.flags & 0b0110 else 0) :]


def _string(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def encode(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    length, head = len(body), bytearray([kind << 4 | flags])
    while True:
        length, digit = length >> 7, length & 0x7F
        head.append(digit | (0x80 if length else 0))
        if not length:
            return bytes(head) + body


def connect(identifier: str) -> bytes:
    """CONNECT with a clean session and no keep-alive."""
    return encode(CONNECT, _string("MQTT") + bytes([4, 0b10, 0, 0]) + _string(identifier))


def subscribe(topic: str) -> bytes:
    return encode(SUBSCRIBE, b"\0\1" + _string(topic) + b"\0", 0b0010)


def publish(topic: str, payload: bytes) -> bytes:
    return encode(PUBLISH, _string(topic) + payload)


def connack(code: int) -> bytes:
    return encode(CONNACK, bytes([0, code]))
