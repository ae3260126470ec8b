"""The policy that `aws register` makes allows what devices do, and nothing of other devices. Device tests hold every packet against it."""

from __future__ import annotations

import json
import re

import pytest

from provisioning.aws.topics import policy_document
from provisioning.resources import folder
from tests.support.iot_policy import allows, denied

POLICY = policy_document("us-east-1", "aws")
ROOT = folder("firmware").parent

DOES = [
    ("iot:Connect", "client/ws-1"),
    ("iot:Publish", "topic/devices/ws-1/reading"),
    ("iot:Publish", "topic/devices/ws-1/health"),
    ("iot:Publish", "topic/ws-1/t"),
    ("iot:Publish", "topic/$aws/things/ws-1/jobs/start-next"),
    ("iot:Publish", "topic/$aws/things/ws-1/jobs/j1/update"),
    ("iot:Subscribe", "topicfilter/$aws/things/ws-1/jobs/notify-next"),
    ("iot:Receive", "topic/$aws/things/ws-1/jobs/start-next/accepted"),
    ("iot:Subscribe", "topicfilter/updates/2"),
    ("iot:Receive", "topic/updates/2"),
    ("iot:Publish", "topic/updates/2/get"),
]
DOES_NOT = [
    ("iot:Connect", "client/ws-2"),
    ("iot:Publish", "topic/devices/ws-2/reading"),
    ("iot:Publish", "topic/devices/ws-10/reading"),
    ("iot:Publish", "topic/$aws/things/ws-2/jobs/start-next"),
    ("iot:Publish", "topic/$aws/things/ws-1/shadow/update"),
    ("iot:Publish", "topic/updates/2"),  # or one device could send sets to all others
    ("iot:Subscribe", "topicfilter/#"),
    ("iot:Subscribe", "topicfilter/devices/+/reading"),
    ("iot:Receive", "topic/devices/ws-2/reading"),
]


@pytest.mark.parametrize(("action", "resource"), DOES)
def test_what_a_device_does(action: str, resource: str) -> None:
    assert allows(POLICY, action, resource, "ws-1")


@pytest.mark.parametrize(("action", "resource"), DOES_NOT)
def test_what_it_may_not(action: str, resource: str) -> None:
    assert not allows(POLICY, action, resource, "ws-1")


def test_a_certificate_that_no_thing_has_may_not_connect() -> None:
    assert not allows(POLICY, "iot:Connect", "client/ws-1", "ws-1", attached=False)


def test_it_fits() -> None:
    document = policy_document("ap-southeast-2", "aws-us-gov", "123456789012")
    assert len(re.sub(r"\s", "", json.dumps(document))) < 2048  # characters of a policy (AWS IoT Core endpoints and quotas)


def test_packets() -> None:
    connect = b"\0\4MQTT\4\2\0\x3c\0\4ws-1"
    publish, subscribe = b"\0\x09ws-2/temp{}", b"\0\1\0\x09updates/2\0"
    assert denied(POLICY, [(0x10, connect), (0x30, publish), (0x82, subscribe)], "ws-1") == ["iot:Publish topic/ws-2/temp"]


def test_documents_publish_where_the_policy_allows() -> None:
    seen = []
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for topic in re.findall(r"""\.publish\(\s*b?["']([^"'%]+)["']""", file.read_text("utf-8")):
            seen.append(topic)
            assert allows(POLICY, "iot:Publish", f"topic/{topic}", "ws-0001"), (file.name, topic)
    assert seen
