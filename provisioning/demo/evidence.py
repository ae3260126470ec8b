"""What proves the demo's claims: the device's counters against the endpoints' own, and a probe from this computer against both."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from provisioning.config.product import Product
from provisioning.errors import BoardError
from provisioning.standin import StandIn

Event = dict[str, Any]


def claim(holds: bool, code: str, sentence: str, hint: str = "Run `twinroot demo --state DIR` and look at what it leaves there.") -> None:
    """Raise BoardError unless `holds`."""
    if not holds:
        raise BoardError(code, sentence, hint)


def health(cloud: StandIn, product: Product, topic: str) -> tuple[Event, str]:
    """(health() as the device published it last, what it shows); BoardError unless it counts what the endpoints saw, not one handshake
    more or less."""
    told = [message for message in cloud.messages() if message["topic"] == topic][-1]
    found: Event = json.loads(told["payload"])
    seen = [event for event in cloud.connections() if event["at"] <= told["at"]]
    for route in product.routes:
        tried = [event for event in seen if event["route"] == route.name]
        good = sum(event["outcome"] == "connected" for event in tried)
        counted = {"good": good, "bad": len(tried) - good}
        row = found["routes"].get(route.name, {})
        reported = {"good": row.get("good"), "bad": row.get("bad")}
        of_root = found["roots"].get(route.roots[0], {}).get("good")
        claim(
            reported == counted and of_root == good,
            "health-differs",
            f"health() says {reported} for route {route.name} and {of_root} for {route.roots[0]}; the endpoint saw {counted}.",
        )
    anchored = ", ".join(f"{name} {row['good']}" for name, row in found["roots"].items())
    ats = found["routes"]["ats"]
    return found, (
        f"health() counts what the endpoints saw: anchored {anchored}; refused on ats {ats['bad']} ({ats.get('err')}), "
        f"chain signed by {ats.get('iss')!r}"
    )


def probe(cloud: StandIn, product: Product, device: str) -> tuple[list[Event], str]:
    """What `trust probe` says of both endpoints, and BoardError unless that is what the device found: each is anchored by its own root
    and by no other."""
    from provisioning.trust.probe.examine import examine
    from provisioning.trust.probe.handshake import ClientIdentity, ProbeTarget

    identity = ClientIdentity(*cloud.issue(device))

    def look(route: Event) -> Any:
        target = ProbeTarget(route["endpoint"], 8883, (route["host"], route["port"]))
        return examine(target, product.roots, identity=identity)

    with ThreadPoolExecutor(len(cloud.routes)) as both:
        found = list(both.map(look, cloud.routes))
    for route, seen in zip(cloud.routes, found, strict=True):
        anchors = [anchor.root for anchor in seen.anchors if anchor.device]
        other = ", ".join(anchors) or f"nothing ({seen.error})"
        claim(
            anchors == [route["root"]],
            "probe-differs",
            f"The probe finds {route['name']} anchored by {other}, the device found {route['root']}.",
        )
    told = "; ".join(f"{r['name']} {s.tls}, anchored by {r['root']} alone" for r, s in zip(cloud.routes, found, strict=True))
    return [seen.as_dict() for seen in found], f"`trust probe` agrees with the device: {told}"
