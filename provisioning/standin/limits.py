"""What AWS IoT Core does not take from a client, as its developer guide and its table of quotas say it. One function for each packet."""

from __future__ import annotations

from collections.abc import Callable

from provisioning.standin import mqtt

PAYLOAD = 128 * 1024  # bytes of one message
_TOPIC = 256  # bytes of UTF-8
_SLASHES = 7
_FILTERS = 8  # in one SUBSCRIBE
_MQTT5 = 5
_UNSUPPORTED_VERSION = b"\x20\x03\x00\x84\x00"  # CONNACK as MQTT 5 has it


class Refused(Exception):
    """The connection ends; `answer` is sent before."""

    def __init__(self, reason: str, answer: bytes = b"") -> None:
        super().__init__(reason)
        self.answer = answer


class Ignored(Exception):
    """Nothing comes of the packet, not even an answer."""


Reserved = Callable[[str], str]
"""Why a topic, or a filter, that begins with $ is not this client's to use; empty when it is."""


def nothing_behind(_topic: str) -> str:
    """The answer of a stand-in without an account."""
    return "the stand-in has nothing behind it"


def check(packet: mqtt.Packet, publish: Reserved = nothing_behind, subscribe: Reserved = lambda _topic: "") -> None:
    """Raises Refused, Ignored, or NotMqtt for a packet that is damaged. `publish`, `subscribe`: what holds of reserved topics."""
    if packet.kind == mqtt.CONNECT:
        _connect(packet)
    elif packet.kind == mqtt.PUBLISH:
        _publish(packet, publish)
    elif packet.kind == mqtt.SUBSCRIBE:
        _subscribe(packet, subscribe)


def _connect(packet: mqtt.Packet) -> None:
    if mqtt.protocol_level(packet) == _MQTT5:
        raise Refused("MQTT 5, which AWS IoT Core speaks and the stand-in does not", _UNSUPPORTED_VERSION)


def _publish(packet: mqtt.Packet, reserved: Reserved) -> None:
    topic, payload = mqtt.published(packet)
    if packet.flags >> 1 & 3 == 2:
        raise Ignored(f"a message with QoS 2 to {topic}")
    if len(payload) > PAYLOAD:
        raise Refused(f"{len(payload)} bytes to {topic}: a message has at most {PAYLOAD}")
    if topic.startswith("$") and (reason := reserved(topic)):
        raise Refused(f"a message to {topic}: what begins with $ is reserved, and {reason}")
    if len(topic.encode()) > _TOPIC or topic.count("/") > _SLASHES:
        raise Refused(f"a topic has at most {_TOPIC} bytes and {_SLASHES} slashes: {topic[:_TOPIC]}")


def _subscribe(packet: mqtt.Packet, reserved: Reserved) -> None:
    wanted = mqtt.subscribed(packet)
    if len(wanted) > _FILTERS:
        raise Refused(f"{len(wanted)} topic filters in one SUBSCRIBE, which takes at most {_FILTERS}")
    if any(qos == 2 for _, qos in wanted):
        raise Ignored(f"a subscription with QoS 2 to {wanted[0][0]}")
    for topic, _ in wanted:
        if topic.startswith("$") and (reason := reserved(topic)):
            raise Refused(f"a subscription to {topic}: what begins with $ is reserved, and {reason}")
