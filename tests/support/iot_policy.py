"""AWS IoT's rules for policies, as far as this product's policies use them: allow only, wildcards, the thing's name, IsAttached.

Source: AWS IoT Core developer guide, "AWS IoT Core policies": what is not allowed is denied; * and ? are wildcards, those of MQTT (+ and #)
are plain characters.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from typing import Any

VARIABLE = "${iot:Connection.Thing.ThingName}"


def allows(document: dict[str, Any], action: str, resource: str, thing: str, attached: bool = True) -> bool:
    """May `thing` do `action` ("iot:Publish") on `resource` ("topic/x/y", without the ARN's head)?"""
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        condition = statement.get("Condition", {}).get("Bool", {})
        assert set(condition) <= {"iot:Connection.Thing.IsAttached"}
        if condition and not attached:
            continue
        if action not in _list(statement["Action"]):
            continue
        for pattern in _list(statement["Resource"]):
            filled = pattern.split(":", 5)[5].replace(VARIABLE, thing)
            if re.fullmatch("".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in filled), resource):
                return True
    return False


def denied(document: dict[str, Any], packets: Iterable[tuple[int, bytes]], thing: str) -> list[str]:
    """What of the MQTT packets that a client sent (first byte, rest) AWS would refuse."""
    found = []
    for head, body in packets:
        kind = head >> 4
        if kind == 1:  # CONNECT: its payload begins with the client id, behind ten bytes
            size = struct.unpack("!H", body[10:12])[0]
            asked = [("iot:Connect", f"client/{body[12 : 12 + size].decode()}")]
        elif kind == 3:
            size = struct.unpack("!H", body[:2])[0]
            asked = [("iot:Publish", f"topic/{body[2 : 2 + size].decode()}")]
        elif kind == 8:
            asked = [("iot:Subscribe", f"topicfilter/{body[4:-1].decode()}"), ("iot:Receive", f"topic/{body[4:-1].decode()}")]
        else:
            continue
        found += [f"{action} {resource}" for action, resource in asked if not allows(document, action, resource, thing)]
    return found


def _list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
