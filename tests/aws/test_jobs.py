"""AWS IoT Jobs from the account's side: made once, watched, cancelled; and the groups that carry large ones."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from provisioning.aws import groups, jobs
from provisioning.aws.iot_api import Aws
from provisioning.aws.jobs import Execution, Rollout
from provisioning.errors import InputError
from tests.aws.conftest import Moto
from tests.support.aws_contract import Contract

DOCUMENT = b'{"twinroot":{"version":2,"parts":["AAAA"]}}'
ARN = "arn:aws:iot:us-east-1:123456789012:"


def things(moto: Moto, count: int) -> list[str]:
    names = [f"ws-{n:04}" for n in range(1, count + 1)]
    for name in names:
        moto.iot().create_thing(thingName=name)
    return names


def test_a_job_is_made_once_and_watched_to_its_end(moto: Moto, aws: Aws) -> None:
    names = things(moto, 3)
    jobs.create(aws, "set-2", names, DOCUMENT, Rollout(per_minute=50, abort_percent=12.5, abort_minimum=2, timeout_minutes=60))
    made = moto.iot().describe_job(jobId="set-2")["job"]
    assert made["targetSelection"] == "SNAPSHOT" and sorted(made["targets"]) == [ARN + f"thing/{name}" for name in names]
    assert made["jobExecutionsRolloutConfig"] == {"maximumPerMinute": 50}
    assert made["timeoutConfig"] == {"inProgressTimeoutInMinutes": 60}
    assert jobs.state(aws, "set-2") == "IN_PROGRESS"
    assert {(e.thing, e.status, e.detail) for e in jobs.executions(aws, "set-2")} == {(name, "QUEUED", "") for name in names}
    jobs.create(aws, "set-2", reversed(names), DOCUMENT, Rollout())
    assert len(moto.requests("CreateJob")) == 1
    moto.finish("set-2", "ws-0001", "SUCCEEDED", "set 5")
    moto.finish("set-2", "ws-0002", "FAILED", "update refused: version 2 was rolled back")
    before = len(moto.requests("DescribeJobExecution"))
    found = {e.thing: e for e in jobs.executions(aws, "set-2", details=True)}
    assert len(moto.requests("DescribeJobExecution")) - before == 2  # not of the one that has said nothing
    assert found["ws-0001"].detail == "set 5" and found["ws-0002"].detail == "update refused: version 2 was rolled back"
    assert found["ws-0003"].status == "QUEUED" and found["ws-0003"].at > 1_600_000_000
    assert {k: v for k, v in jobs.describe(aws, "set-2").counts.items() if v} == {"QUEUED": 1, "SUCCEEDED": 1, "FAILED": 1}
    moto.finish("set-2", "ws-0003", "REJECTED")
    assert jobs.state(aws, "set-2") == "COMPLETED"


def test_another_document_or_other_devices_are_another_job(moto: Moto, aws: Aws) -> None:
    names = things(moto, 3)
    jobs.create(aws, "set-2", names[:2], DOCUMENT, Rollout())
    for devices, document in ((names, DOCUMENT), (names[:1], DOCUMENT), (names[:2], DOCUMENT.replace(b"2", b"3"))):
        with pytest.raises(InputError) as error:
            jobs.create(aws, "set-2", devices, document, Rollout())
        assert error.value.code == "exists-differently"
    jobs.create(aws, "set-2", names[:2], b' {"twinroot": {"parts": ["AAAA"], "version": 2}}', Rollout())  # the same JSON


@pytest.mark.parametrize("fault", ["drop CreateJob", "drop AddThingToThingGroup", "drop CreateThingGroup", "throttle CreateJob 2"])
def test_a_lost_answer_makes_one_job(moto: Moto, aws: Aws, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "TARGETS", 2)
    monkeypatch.setattr(aws, "_sleep", lambda _: None)
    names = things(moto, 3)
    moto.fault(fault)
    jobs.create(aws, "set-2", names, DOCUMENT, Rollout())
    assert moto.iot().describe_job(jobId="set-2")["job"]["targets"] == [ARN + "thinggroup/twinroot-set-2"]
    assert {e.thing for e in jobs.executions(aws, "set-2")} == set(names)
    jobs.create(aws, "set-2", names, DOCUMENT, Rollout())
    assert len(moto.iot().list_jobs()["jobs"]) == 1


@pytest.mark.parametrize("count", [8, pytest.param(104, marks=pytest.mark.long)])
def test_a_group_goes_on_where_it_was_stopped_and_takes_nobody_else(
    moto: Moto, aws: Aws, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if count < jobs.TARGETS:
        monkeypatch.setattr(jobs, "TARGETS", count - 4)
    names = things(moto, count)
    jobs.create(aws, "all", names, DOCUMENT, Rollout())
    assert len(moto.requests("AddThingToThingGroup")) == count
    assert set(groups.members(aws, "twinroot-all")) == set(names)
    assert len({e.thing for e in jobs.executions(aws, "all")}) == count
    jobs.create(aws, "all", names, DOCUMENT, Rollout())
    assert len(moto.requests("AddThingToThingGroup")) == count
    groups.ensure(aws, "wave", names[:3])
    assert groups.ensure(aws, "wave", names[:5]) == ARN + "thinggroup/wave"
    assert len(moto.requests("AddThingToThingGroup")) == count + 5
    with pytest.raises(InputError, match="not among those named, ws-0004 for one"):
        groups.ensure(aws, "wave", names[:3])


def test_what_is_not_in_the_registry(moto: Moto, aws: Aws) -> None:
    [name] = things(moto, 1)
    for devices in (["ws-9999"], [name, "ws-9999"]):
        with pytest.raises(InputError) as error:
            jobs.create(aws, "set-2", devices, DOCUMENT, Rollout())
        assert error.value.code == "no-such-thing" and "aws register" in error.value.hint
    with pytest.raises(InputError, match="ws-9999 is not in AWS's registry"):
        groups.ensure(aws, "wave", [name, "ws-9999"])
    for call in (lambda: jobs.state(aws, "set-9"), lambda: list(jobs.executions(aws, "set-9")), lambda: jobs.cancel(aws, "set-9", "x")):
        with pytest.raises(InputError) as error:
            call()
        assert error.value.code == "no-job"


def test_cancelling_is_done_once(moto: Moto, aws: Aws) -> None:
    names = things(moto, 3)
    jobs.create(aws, "set-2", names, DOCUMENT, Rollout())
    moto.finish("set-2", "ws-0001", "IN_PROGRESS", "begun")
    jobs.cancel(aws, "set-2", "4 % failed: taken back")
    jobs.cancel(aws, "set-2", "4 % failed: taken back")
    assert len(moto.requests("CancelJob")) == 1
    job = moto.iot().describe_job(jobId="set-2")["job"]
    assert job["comment"] == "4 % failed: taken back" and job["reasonCode"] == "4_FAILED_TAKEN_BACK"
    assert jobs.describe(aws, "set-2").reason == "4 % failed: taken back"
    assert sorted(e.status for e in jobs.executions(aws, "set-2")) == ["CANCELED", "CANCELED", "IN_PROGRESS"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"per_minute": 0},
        {"per_minute": 1001},
        {"abort_percent": 0.0},
        {"abort_percent": 100.5},
        {"abort_minimum": 0},
        {"timeout_minutes": 0},
        {"timeout_minutes": 10081},
    ],
)
def test_a_rollout_that_aws_would_not_take(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError) as error:
        Rollout(**wrong)
    assert error.value.code == "bad-rollout"


@pytest.mark.parametrize(
    ("job_id", "devices", "document", "code"),
    [
        ("a b", ["ws-1"], DOCUMENT, "bad-job-id"),
        ("x" * 65, ["ws-1"], DOCUMENT, "bad-job-id"),
        ("x", [], DOCUMENT, "no-devices"),
        ("x", ["ws-1"], b"{", "bad-document"),
        ("x", ["ws-1"], json.dumps("x" * 32768).encode(), "job-too-large"),
    ],
)
def test_what_is_wrong_is_said_before_aws_is_asked(contract: Contract, job_id: str, devices: list[str], document: bytes, code: str) -> None:
    with pytest.raises(InputError) as error:
        jobs.create(contract.aws, job_id, devices, document, Rollout())
    assert error.value.code == code


MOMENT = datetime(2026, 12, 1, 12, 0, tzinfo=timezone.utc)


def test_the_requests_and_answers_of_a_job_are_as_the_model_has_them(contract: Contract) -> None:
    contract.refuse("describe_job", {"jobId": "set-2"}, "ResourceNotFoundException", 404)
    contract.expect("describe_thing", {"thingName": "ws-1"}, {"thingName": "ws-1", "thingArn": ARN + "thing/ws-1", "version": 1})
    contract.expect(
        "create_job",
        {
            "jobId": "set-2",
            "targets": [ARN + "thing/ws-1", ARN + "thing/ws:2"],
            "document": DOCUMENT.decode(),
            "targetSelection": "SNAPSHOT",
            "jobExecutionsRolloutConfig": {"maximumPerMinute": 1000},
            "abortConfig": {
                "criteriaList": [{"failureType": "ALL", "action": "CANCEL", "thresholdPercentage": 33.33, "minNumberOfExecutedThings": 1}]
            },
            "timeoutConfig": {"inProgressTimeoutInMinutes": 10080},
            "destinationPackageVersions": [ARN + "package/weather-station/version/2"],
        },
        {"jobArn": ARN + "job/set-2", "jobId": "set-2"},
    )
    jobs.create(
        contract.aws,
        "set-2",
        ["ws-1", "ws:2", "ws-1"],
        DOCUMENT,
        Rollout(1000, 33.333, 1, 10080),
        packages=[ARN + "package/weather-station/version/2"],
    )
    row = {"status": "TIMED_OUT", "queuedAt": MOMENT, "lastUpdatedAt": MOMENT, "executionNumber": 1}
    page = {"executionSummaries": [{"thingArn": ARN + "thing/ws:2", "jobExecutionSummary": row}]}
    contract.expect("list_job_executions_for_job", {"jobId": "set-2", "maxResults": 250}, {**page, "nextToken": "n"})
    contract.expect("list_job_executions_for_job", {"jobId": "set-2", "maxResults": 250, "nextToken": "n"}, {"executionSummaries": []})
    assert list(jobs.executions(contract.aws, "set-2")) == [Execution("ws:2", "TIMED_OUT", "", int(MOMENT.timestamp()))]
    canceled = {"jobId": "set-2", "status": "CANCELED", "reasonCode": "ABORTED", "jobProcessDetails": {"numberOfTimedOutThings": 4}}
    contract.expect("describe_job", {"jobId": "set-2"}, {"job": canceled})
    found = jobs.describe(contract.aws, "set-2")
    assert (found.status, found.reason, found.counts["TIMED_OUT"], found.counts["QUEUED"]) == ("CANCELED", "ABORTED", 4, 0)


def test_cancelled_by_somebody_else_in_between(contract: Contract) -> None:
    contract.expect("describe_job", {"jobId": "x"}, {"job": {"jobId": "x", "status": "IN_PROGRESS"}})
    contract.refuse("cancel_job", {"jobId": "x", "force": True, "comment": "stop", "reasonCode": "STOP"}, "InvalidRequestException")
    contract.expect("describe_job", {"jobId": "x"}, {"job": {"jobId": "x", "status": "CANCELED"}})
    jobs.cancel(contract.aws, "x", "stop", force=True)


def test_a_dynamic_group_is_nobodys_list(contract: Contract) -> None:
    found = {"thingGroupName": "g", "thingGroupArn": ARN + "thinggroup/g", "queryString": "thingName:*", "status": "ACTIVE"}
    contract.expect("describe_thing_group", {"thingGroupName": "g"}, found)
    with pytest.raises(InputError, match="dynamic"):
        groups.ensure(contract.aws, "g", ["ws-1"])
