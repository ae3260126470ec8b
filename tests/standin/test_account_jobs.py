"""Jobs on the stand-in with AWS's own libraries on both sides: boto3 makes them, awsiotsdk is the device."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from provisioning.standin import StandIn, mqtt
from tests.standin import sdk
from tests.standin.account import arn, client
from tests.standin.conftest import Client

from awscrt.mqtt import QoS  # isort: skip
from awsiot import iotjobs  # isort: skip


@pytest.fixture(scope="module")
def proxy(shared: StandIn) -> Iterator[sdk.Proxy]:
    made = sdk.Proxy(shared)
    yield made
    made.close()


@pytest.fixture
def iot(shared: StandIn) -> Any:
    return client(shared, "iot")


def test_a_job_from_boto3_to_the_sdk_and_back(shared: StandIn, proxy: sdk.Proxy, iot: Any) -> None:
    device = sdk.Device(shared, "sdk-1", proxy)
    sdk_jobs = iotjobs.IotJobsClient(device.connection)
    thing: Any = {"thing_name": "sdk-1"}
    try:
        news = device.on(
            sdk_jobs.subscribe_to_next_job_execution_changed_events, iotjobs.NextJobExecutionChangedSubscriptionRequest(**thing)
        )
        lists = device.on(sdk_jobs.subscribe_to_job_executions_changed_events, iotjobs.JobExecutionsChangedSubscriptionRequest(**thing))
        started = device.on(
            sdk_jobs.subscribe_to_start_next_pending_job_execution_accepted,
            iotjobs.StartNextPendingJobExecutionSubscriptionRequest(**thing),
        )
        updated = device.on(
            sdk_jobs.subscribe_to_update_job_execution_accepted, iotjobs.UpdateJobExecutionSubscriptionRequest(job_id="sdk-job", **thing)
        )
        refused = device.on(
            sdk_jobs.subscribe_to_update_job_execution_rejected, iotjobs.UpdateJobExecutionSubscriptionRequest(job_id="sdk-job", **thing)
        )
        iot.create_job(jobId="sdk-job", targets=[arn("sdk-1")], document='{"twinroot": {"version": 2}}')
        first = news.get(timeout=sdk.TIMEOUT).execution
        assert (first.job_id, first.status, first.version_number, first.job_document) == (
            "sdk-job",
            "QUEUED",
            1,
            {"twinroot": {"version": 2}},
        )
        assert [each.job_id for each in lists.get(timeout=sdk.TIMEOUT).jobs["QUEUED"]] == ["sdk-job"]

        sdk_jobs.publish_start_next_pending_job_execution(
            iotjobs.StartNextPendingJobExecutionRequest(client_token="t1", status_details={"step": "one"}, **thing), QoS.AT_LEAST_ONCE
        )
        answer = started.get(timeout=sdk.TIMEOUT)
        assert (answer.client_token, answer.execution.status, answer.execution.status_details) == ("t1", "IN_PROGRESS", {"step": "one"})
        assert iot.describe_job(jobId="sdk-job")["job"]["jobProcessDetails"]["numberOfInProgressThings"] == 1

        def update(status: str, **more: Any) -> None:
            request = iotjobs.UpdateJobExecutionRequest(job_id="sdk-job", status=status, **thing, **more)
            sdk_jobs.publish_update_job_execution(request, QoS.AT_LEAST_ONCE)

        update("IN_PROGRESS", expected_version=7)
        error = refused.get(timeout=sdk.TIMEOUT)
        assert (error.code, error.execution_state.version_number) == ("VersionMismatch", 2)
        update("SUCCEEDED", status_details={"why": "set 2"}, include_job_execution_state=True, expected_version=2)
        state = updated.get(timeout=sdk.TIMEOUT).execution_state
        assert (state.status, state.version_number, state.status_details) == ("SUCCEEDED", 3, {"why": "set 2"})
        assert news.get(timeout=sdk.TIMEOUT).execution is None, "there is no next one"
        assert lists.get(timeout=sdk.TIMEOUT).jobs == {}
        update("IN_PROGRESS")
        error = refused.get(timeout=sdk.TIMEOUT)
        assert (error.code, error.execution_state.status) == ("InvalidStateTransition", "SUCCEEDED")
    finally:
        device.close()
    job = iot.describe_job(jobId="sdk-job")["job"]
    assert (job["status"], job["jobProcessDetails"]["numberOfSucceededThings"]) == ("COMPLETED", 1)
    execution = iot.describe_job_execution(jobId="sdk-job", thingName="sdk-1")["execution"]
    assert execution["statusDetails"] == {"detailsMap": {"why": "set 2"}}


CASES = [
    ("jobs/start-next", "{", "InvalidJson"),
    ("jobs/start-next", "", "InvalidJson"),
    ("jobs/start-next", "[]", "InvalidJson"),
    ("jobs/get", '{"n": NaN}', "InvalidJson"),
    ("jobs/get", '{"other": 1}', "InvalidRequest"),
    ("jobs/get", json.dumps({"clientToken": "x" * 65}), "InvalidRequest"),
    ("jobs/none/get", "{}", "ResourceNotFound"),
    ("jobs/bad id/get", "{}", "InvalidRequest"),
    ("jobs/none/update", "{}", "InvalidRequest"),
    ("jobs/none/update", '{"status": 1}', "InvalidRequest"),
    ("jobs/none/update", '{"status": "DONE"}', "InvalidRequest"),
    ("jobs/none/update", '{"status": "SUCCEEDED"}', "ResourceNotFound"),
    ("jobs/strict/update", '{"status": "QUEUED"}', "InvalidRequest"),
    ("jobs/strict/update", json.dumps({"status": "SUCCEEDED", "statusDetails": {"why": "x" * 1025}}), "InvalidRequest"),
    ("jobs/strict/update", json.dumps({"status": "SUCCEEDED", "statusDetails": {f"k{n}": "v" for n in range(11)}}), "InvalidRequest"),
    ("jobs/strict/update", '{"status": "SUCCEEDED", "statusDetails": {"why": 5}}', "InvalidRequest"),
    ("jobs/strict/update", '{"status": "IN_PROGRESS", "stepTimeoutInMinutes": 0}', "InvalidRequest"),
]


def test_what_a_device_asks_wrongly_is_rejected_with_its_code(shared: StandIn, proxy: sdk.Proxy, iot: Any) -> None:
    device = sdk.Device(shared, "sdk-2", proxy)
    iot.create_job(jobId="strict", targets=[arn("sdk-2")], document="{}")
    try:
        answers = device.listen("$aws/things/sdk-2/jobs/#")
        for topic, payload, code in CASES:
            device.publish(f"$aws/things/sdk-2/{topic}", payload)
            came, answer = answers.get(timeout=sdk.TIMEOUT)
            while not came.endswith(("/accepted", "/rejected")):
                came, answer = answers.get(timeout=sdk.TIMEOUT)
            assert (came, json.loads(answer)["code"]) == (f"$aws/things/sdk-2/{topic}/rejected", code), (payload, answer)
    finally:
        device.close()
    assert iot.describe_job_execution(jobId="strict", thingName="sdk-2")["execution"]["status"] == "QUEUED"


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (mqtt.publish("$aws/things/other/jobs/get", b"{}"), "not one of the client's own thing"),
        (mqtt.subscribe("$aws/things/other/jobs/#"), "not one of the client's own thing"),
        (mqtt.subscribe("$aws/things/+/jobs/notify"), "not one of the client's own thing"),
        (mqtt.subscribe("$aws/#"), "nothing behind it"),
        (mqtt.publish("$aws/things/ws-0001/jobs/nothing/here", b"{}"), "nothing behind it"),
        (mqtt.publish("$aws/rules/x", b"{}"), "nothing behind it"),
        (mqtt.publish("$SYS/x", b"{}"), "nothing behind it"),
    ],
)
def test_other_reserved_topics_end_the_connection(cloud: StandIn, packet: bytes, reason: str) -> None:
    before = len(cloud.connections())
    stream, answer = Client(cloud).mqtt()
    with stream:
        assert answer == mqtt.connack(0)
        stream.sendall(packet)
        assert stream.recv(16) == b""
    assert reason in cloud.wait_connection(outcome="closed", after=before)["reason"]


def test_a_client_that_takes_the_name_of_another_thing_has_none_of_its_topics(cloud: StandIn) -> None:
    """Its certificate decides, not what it calls itself."""
    cloud.issue("ws-0002")
    before = len(cloud.connections())
    stream = Client(cloud, device="ws-0001").connect()
    with stream:
        stream.sendall(mqtt.connect("ws-0002") + mqtt.subscribe("$aws/things/ws-0002/jobs/#"))
        while stream.recv(64):
            pass
    assert "certificate is not attached" in cloud.wait_connection(outcome="closed", after=before)["reason"]
