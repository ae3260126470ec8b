"""The topics of a device, in one table: `aws register` makes its policy from it, and tests hold what the firmware publishes and subscribes
against that policy.

In a pattern {thing} is the thing's name, which is the client id; * any text, as in AWS IoT's policies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

UPDATES = "updates/"  # where signed sets are sent in chunks; `sign job --topic` names one below
THING = "${iot:Connection.Thing.ThingName}"  # AWS fills it in for the device that is connected


@dataclass(frozen=True)
class Topic:
    """`publishes`, `hears`: what the device does there; `why`: who in firmware/ does it."""

    pattern: str
    publishes: bool
    hears: bool
    why: str


TOPICS = (
    Topic("devices/{thing}/*", True, True, "firmware/main.py: readings, and health after each connection"),
    Topic("{thing}/*", True, True, "applications that call their topics by the thing alone"),
    Topic("$aws/things/{thing}/jobs/*", True, True, "twinroot.jobs: start-next, notify-next, update"),
    Topic("$aws/things/{thing}/streams/*", True, True, "twinroot.jobs: blocks of a signed set from an AWS IoT stream"),
    Topic("$aws/things/{thing}/shadow/name/twinroot/update", True, False, "twinroot.telemetry.shadow: what the fleet index reads"),
    Topic(f"{UPDATES}*", False, True, "twinroot.jobs, twinroot.ota: chunks of a signed set"),
    Topic(f"{UPDATES}*/get", True, False, "twinroot.jobs: the offset of the next chunk"),
)


def policy_document(region: str, partition: str, account: str = "*") -> dict[str, Any]:
    """What a device may do: connect under its own name, while that thing has its certificate, and speak on its topics."""
    arn = f"arn:{partition}:iot:{region}:{account}"

    def resources(kind: str, topics: list[Topic]) -> list[str]:
        return [f"{arn}:{kind}/{topic.pattern.format(thing=THING)}" for topic in topics]

    hears = [topic for topic in TOPICS if topic.hears]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "iot:Connect",
                "Resource": f"{arn}:client/{THING}",
                "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": ["true"]}},
            },
            {"Effect": "Allow", "Action": "iot:Publish", "Resource": resources("topic", [t for t in TOPICS if t.publishes])},
            {"Effect": "Allow", "Action": "iot:Receive", "Resource": resources("topic", hears)},
            {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": resources("topicfilter", hears)},
        ],
    }
