"""The same calls of boto3 to the stand-in's account and to moto: where both have an operation, they answer alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.standin import StandIn
from tests.standin.account import arn, client

pytest.importorskip("moto", reason="moto is not installed")

from tests.aws.conftest import Moto

Call = Callable[[Any, Any], Any]

SHADOW = {"thingName": "m-1", "shadowName": "n"}
BOTH = json.dumps({"state": {"reported": {"s": 1}, "desired": {"s": 2}}})
LATE = '{"state": {"reported": {"s": 1}}, "version": 9}'
MERGED = {"attributes": {"c": "d"}, "merge": True}
# Fields that moto leaves out, or fills where nothing was said. Its job is QUEUED, which is not a status of jobs in the model.
JOB = {"status", "isConcurrent", "jobProcessDetails", "targetSelection", "presignedUrlConfig", "forceCanceled"}
EXECUTION = {"approximateSecondsBeforeTimedOut", "executionNumber", "startedAt", "versionNumber", "statusDetails", "retryAttempt"}

# What a story calls, in order: each gets clients of iot and of iot-data; fields in which moto is known to differ from the API's reference.
STORY: list[tuple[str, Call, set[str]]] = [
    ("CreateThing", lambda iot, _: iot.create_thing(thingName="m-1", attributePayload={"attributes": {"a": "b"}}), {"thingId"}),
    ("DescribeThing", lambda iot, _: iot.describe_thing(thingName="m-1"), {"thingId"}),
    ("UpdateThing", lambda iot, _: iot.update_thing(thingName="m-1", attributePayload=MERGED), set()),
    ("ListThings", lambda iot, _: iot.list_things(), {"version"}),  # moto does not count updates
    ("ListThings by attribute", lambda iot, _: iot.list_things(attributeName="a", attributeValue="b"), {"version"}),
    ("DescribeThing, none", lambda iot, _: iot.describe_thing(thingName="none"), set()),
    ("CreateThingGroup", lambda iot, _: iot.create_thing_group(thingGroupName="m-g"), {"thingGroupId"}),
    ("CreateThingGroup, below", lambda iot, _: iot.create_thing_group(thingGroupName="m-b", parentGroupName="m-g"), {"thingGroupId"}),
    ("ListThingGroups", lambda iot, _: iot.list_thing_groups(), set()),
    ("ListThingGroups, below", lambda iot, _: iot.list_thing_groups(parentGroup="m-g"), set()),
    ("AddThingToThingGroup", lambda iot, _: iot.add_thing_to_thing_group(thingGroupName="m-g", thingName="m-1"), set()),
    ("ListThingsInThingGroup", lambda iot, _: iot.list_things_in_thing_group(thingGroupName="m-g"), set()),
    ("ListThingGroupsForThing", lambda iot, _: iot.list_thing_groups_for_thing(thingName="m-1"), set()),
    ("CreateJob", lambda iot, _: iot.create_job(jobId="m-j", targets=[arn("m-1")], document='{"a": 1}', description="d"), set()),
    ("DescribeJob", lambda iot, _: iot.describe_job(jobId="m-j"), JOB),
    ("GetJobDocument", lambda iot, _: iot.get_job_document(jobId="m-j"), set()),
    ("ListJobs", lambda iot, _: iot.list_jobs(), JOB),
    ("ListJobExecutionsForJob", lambda iot, _: iot.list_job_executions_for_job(jobId="m-j"), EXECUTION),
    ("DescribeJobExecution", lambda iot, _: iot.describe_job_execution(jobId="m-j", thingName="m-1"), EXECUTION),
    ("CancelJob", lambda iot, _: iot.cancel_job(jobId="m-j", reasonCode="OVER"), set()),
    ("DescribeJob, canceled", lambda iot, _: iot.describe_job(jobId="m-j")["job"]["status"], set()),
    ("DescribeJob, none", lambda iot, _: iot.describe_job(jobId="none"), set()),
    ("UpdateThingShadow", lambda _, data: data.update_thing_shadow(payload=BOTH, **SHADOW), set()),
    ("GetThingShadow", lambda _, data: data.get_thing_shadow(**SHADOW), set()),
    ("UpdateThingShadow, conflict", lambda _, data: data.update_thing_shadow(payload=LATE, **SHADOW), set()),
    ("ListNamedShadowsForThing", lambda _, data: data.list_named_shadows_for_thing(thingName="m-1"), {"timestamp"}),
    ("GetThingShadow, none", lambda _, data: data.get_thing_shadow(thingName="m-1", shadowName="none"), set()),
    ("CreatePolicy", lambda iot, _: iot.create_policy(policyName="m-p", policyDocument='{"Statement": []}'), set()),
    ("RemoveThingFromThingGroup", lambda iot, _: iot.remove_thing_from_thing_group(thingGroupName="m-g", thingName="m-1"), set()),
    ("DeleteThing", lambda iot, _: iot.delete_thing(thingName="m-1"), set()),
    ("ListThings, none", lambda iot, _: iot.list_things(), set()),
]


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    started = Moto(tmp_path_factory.mktemp("moto"))
    yield started
    started.stop()


def _plain(value: Any, unlike: set[str]) -> Any:
    """An answer without times (their kind stays), ids and what is said to differ; a body is read."""
    import datetime

    if isinstance(value, dict):
        return {key: _plain(each, unlike) for key, each in sorted(value.items()) if key not in unlike and key != "ResponseMetadata"}
    if isinstance(value, list):
        return [_plain(each, unlike) for each in value]
    if isinstance(value, datetime.datetime):
        return "a time"
    if hasattr(value, "read"):
        body = json.loads(value.read())
        for name in ("timestamp", "metadata"):
            body.pop(name, None)
        return _plain(body, unlike)
    return value


def _answer(call: Call, iot: Any, data: Any, unlike: set[str]) -> Any:
    from botocore.exceptions import ClientError

    try:
        return _plain(call(iot, data), unlike)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return error.response["Error"]["Code"], status


@pytest.mark.long  # two servers, and neither changes with the product
def test_alike(moto: Moto, tmp_path: Path) -> None:
    import boto3

    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1", "endpoint_url": moto.url}
    theirs = boto3.client("iot", **keys), boto3.client("iot-data", **keys)
    different = []
    with StandIn(tmp_path, broker="amqtt") as cloud:
        ours = client(cloud, "iot"), client(cloud, "iot-data")
        for name, call, unlike in STORY:
            here, there = _answer(call, *ours, unlike), _answer(call, *theirs, unlike)
            if here != there:
                different.append((name, here, there))
    assert not different, "\n".join(f"{name}\n  here  {here}\n  there {there}" for name, here, there in different)
