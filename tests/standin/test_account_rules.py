"""Rollout, abort, timeouts, notifications: the rules of jobs, by a clock that the test sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.standin.account import Alone, arn


@pytest.fixture
def alone(tmp_path: Path) -> Alone:
    return Alone(tmp_path)


def test_a_rollout_keeps_to_its_rate(alone: Alone) -> None:
    alone.fleet(7)
    alone.job(jobExecutionsRolloutConfig={"maximumPerMinute": 3})
    seen = []
    for _ in range(4):
        seen.append(alone.counts()["QUEUED"])
        details = alone.call("DescribeJob", jobId="j")["job"]["jobProcessDetails"]
        assert (details["processingTargets"] is not None) == (seen[-1] < 7)
        alone.passes(59)
        assert alone.counts()["QUEUED"] == seen[-1], "not before the minute is over"
        alone.passes(1)
    assert seen == [3, 6, 7, 7]


def test_minutes_that_pass_at_once_come_one_by_one(alone: Alone) -> None:
    """A clock that is moved, or a computer that slept: the times of the executions are those of their minutes."""
    alone.fleet(5)
    alone.job(jobExecutionsRolloutConfig={"maximumPerMinute": 2})
    begin = alone.now
    alone.passes(3600)
    found = alone.call("ListJobExecutionsForJob", jobId="j")["executionSummaries"]
    queued = [each["jobExecutionSummary"]["queuedAt"].timestamp() - begin for each in found]
    assert queued == [0, 0, 60, 60, 120]


def test_a_rate_that_grows_with_successes(alone: Alone) -> None:
    names = alone.fleet(10)
    grows = {"baseRatePerMinute": 2, "incrementFactor": 2, "rateIncreaseCriteria": {"numberOfSucceededThings": 2}}
    alone.job(jobExecutionsRolloutConfig={"maximumPerMinute": 5, "exponentialRate": grows})
    assert alone.counts() == {"QUEUED": 2}
    alone.passes(60)
    assert alone.counts() == {"QUEUED": 4}, "nobody has succeeded yet"
    for name in names[:2]:
        alone.report(name, "SUCCEEDED")
    alone.passes(60)
    assert alone.counts() == {"SUCCEEDED": 2, "QUEUED": 6}, "4 more: 2 times 2"


RULE: dict[str, Any] = {"failureType": "FAILED", "action": "CANCEL", "thresholdPercentage": 50, "minNumberOfExecutedThings": 3}


def test_the_abort_rule(alone: Alone) -> None:
    """From the third completed execution on, at half of them failed; what is in progress goes on, what waits never begins."""
    names = alone.fleet(8)
    alone.job(abortConfig={"criteriaList": [RULE]}, jobExecutionsRolloutConfig={"maximumPerMinute": 6})
    alone.report(names[4], "IN_PROGRESS")
    alone.report(names[0], "FAILED")
    alone.report(names[1], "FAILED")
    assert alone.status() == "IN_PROGRESS", "too few to say"
    alone.news()
    alone.report(names[2], "SUCCEEDED")
    job = alone.call("DescribeJob", jobId="j")["job"]
    assert (job["status"], job["reasonCode"]) == ("CANCELED", "ABORT_CRITERIA_MET")
    assert alone.counts() == {"FAILED": 2, "SUCCEEDED": 1, "IN_PROGRESS": 1, "CANCELED": 2}
    assert ("$aws/things/t5/jobs/notify-next", {"timestamp": 1000000}) in alone.news(), "the queued ones learn of it"
    alone.passes(3600)
    assert sum(alone.counts().values()) == 6, "nothing begins after that"
    assert "executionState" not in alone.report(names[4], "SUCCEEDED"), "what was in progress may end"
    assert alone.report(names[5], "SUCCEEDED")["code"] == "InvalidStateTransition"


@pytest.mark.parametrize(
    ("failure", "statuses", "aborted"),
    [
        ("FAILED", ("FAILED", "SUCCEEDED", "SUCCEEDED"), False),
        ("FAILED", ("REJECTED", "REJECTED", "FAILED"), False),
        ("REJECTED", ("REJECTED", "REJECTED", "FAILED"), True),
        ("ALL", ("REJECTED", "FAILED", "SUCCEEDED"), True),
        ("TIMED_OUT", ("FAILED", "FAILED", "FAILED"), False),
    ],
)
def test_which_failures_an_abort_rule_counts(alone: Alone, failure: str, statuses: tuple[str, ...], aborted: bool) -> None:
    names = alone.fleet(5)
    alone.job(abortConfig={"criteriaList": [RULE | {"failureType": failure}]})
    for name, status in zip(names, statuses, strict=False):
        alone.report(name, status)
    assert alone.status() == ("CANCELED" if aborted else "IN_PROGRESS")


def test_timeouts_of_a_job_and_of_a_step(alone: Alone) -> None:
    names = alone.fleet(3)
    alone.job(timeoutConfig={"inProgressTimeoutInMinutes": 10}, abortConfig={"criteriaList": [RULE | {"failureType": "TIMED_OUT"}]})
    alone.report(names[0], "IN_PROGRESS")
    answer = alone.device("t1/jobs/start-next", stepTimeoutInMinutes=2)
    assert answer["execution"]["approximateSecondsBeforeTimedOut"] == 120
    alone.passes(119)
    alone.device("t1/jobs/j/update", status="IN_PROGRESS", stepTimeoutInMinutes=5)
    alone.passes(200)
    assert alone.counts() == {"IN_PROGRESS": 2, "QUEUED": 1}, "a new step began"
    alone.passes(101)
    assert alone.counts() == {"IN_PROGRESS": 1, "TIMED_OUT": 1, "QUEUED": 1}
    alone.passes(181)
    assert alone.counts() == {"TIMED_OUT": 2, "QUEUED": 1}, "what is queued has no timer"
    assert alone.report(names[0], "SUCCEEDED")["code"] == "InvalidStateTransition"
    alone.report(names[2], "SUCCEEDED")
    assert alone.status() == "CANCELED", "2 of 3 timed out"


def test_notifications_are_those_of_the_developer_guide(alone: Alone) -> None:
    """Its example, message by message: "Jobs notifications"."""
    alone.call("CreateThing", thingName="t")

    def news() -> list[tuple[str, Any]]:
        """(topic's last part, ids) of each notification."""
        found = []
        for topic, message in alone.news():
            last = topic.rpartition("/")[2]
            if last == "notify":
                found.append((last, {status: [each["jobId"] for each in jobs] for status, jobs in message["jobs"].items()}))
            elif last == "notify-next":
                found.append((last, message.get("execution", {}).get("jobId")))
        return found

    def job(name: str) -> None:
        alone.job(name, targets=[arn("t")])

    job("job1")
    assert news() == [("notify", {"QUEUED": ["job1"]}), ("notify-next", "job1")]
    job("job2")
    assert news() == [("notify", {"QUEUED": ["job1", "job2"]})]
    alone.report("t", "IN_PROGRESS", "job1")
    assert news() == []
    job("job3")
    assert news() == [("notify", {"IN_PROGRESS": ["job1"], "QUEUED": ["job2", "job3"]})]
    alone.report("t", "SUCCEEDED", "job1")
    assert news() == [("notify", {"QUEUED": ["job2", "job3"]}), ("notify-next", "job2")]
    alone.report("t", "IN_PROGRESS", "job3")
    assert news() == [("notify-next", "job3")]
    alone.report("t", "REJECTED", "job2")
    assert news() == [("notify", {"IN_PROGRESS": ["job3"]})]
    alone.call("DeleteJob", jobId="job3", force=True)
    assert news() == [("notify", {}), ("notify-next", None)]


def test_the_answer_comes_before_the_news_it_causes(alone: Alone) -> None:
    alone.fleet(1)
    alone.job()
    alone.news()
    alone.report("t0", "SUCCEEDED")
    assert [topic.partition("/jobs/")[2] for topic, _ in alone.news()] == ["j/update/accepted", "notify", "notify-next"]


def test_a_continuous_job_follows_its_group(alone: Alone) -> None:
    names = alone.fleet(2)
    alone.job(targetSelection="CONTINUOUS")
    for name in names:
        alone.report(name, "SUCCEEDED")
    assert alone.status() == "IN_PROGRESS"
    for name in ("late", "gone"):
        alone.call("CreateThing", thingName=name)
        alone.call("AddThingToThingGroup", thingGroupName="g", thingName=name)
    assert alone.counts() == {"SUCCEEDED": 2, "QUEUED": 2}
    alone.call("RemoveThingFromThingGroup", thingGroupName="g", thingName="gone")
    assert alone.counts() == {"SUCCEEDED": 2, "QUEUED": 1, "REMOVED": 1}
    alone.call("AddThingToThingGroup", thingGroupName="g", thingName="t0")
    assert alone.counts() == {"SUCCEEDED": 2, "QUEUED": 1, "REMOVED": 1}, "once for each thing"


def test_a_snapshot_job_is_for_who_was_there(alone: Alone) -> None:
    names = alone.fleet(1)
    alone.job()
    alone.call("CreateThing", thingName="late")
    alone.call("AddThingToThingGroup", thingGroupName="g", thingName="late")
    alone.report(names[0], "REJECTED")
    assert (alone.counts(), alone.status()) == ({"REJECTED": 1}, "COMPLETED")


def test_a_thing_that_is_deleted_is_no_more_waited_for(alone: Alone) -> None:
    names = alone.fleet(3)
    alone.job(jobExecutionsRolloutConfig={"maximumPerMinute": 2})
    for name in (names[0], names[2]):
        alone.call("DeleteThing", thingName=name)
    assert alone.counts() == {"REMOVED": 1, "QUEUED": 1}
    alone.report(names[1], "SUCCEEDED")
    assert alone.status() == "COMPLETED"


def test_groups_within_groups(alone: Alone) -> None:
    alone.fleet(1)
    alone.call("CreateThingGroup", thingGroupName="above")
    alone.call("CreateThingGroup", thingGroupName="below", parentGroupName="above")
    alone.call("CreateThing", thingName="deep")
    alone.call("AddThingToThingGroup", thingGroupName="below", thingName="deep")
    alone.job(targets=[arn("above", "thinggroup"), arn("deep"), arn("t0")])
    assert alone.counts() == {"QUEUED": 2}
    assert alone.call("ListThingsInThingGroup", thingGroupName="above")["things"] == []
    assert alone.call("ListThingsInThingGroup", thingGroupName="above", recursive=True)["things"] == ["deep"]


def test_everything_is_there_after_a_restart(alone: Alone) -> None:
    names = alone.fleet(4)
    alone.job(jobExecutionsRolloutConfig={"maximumPerMinute": 2}, timeoutConfig={"inProgressTimeoutInMinutes": 1})
    alone.report(names[0], "IN_PROGRESS")
    before = [alone.call(operation, jobId="j") for operation in ("DescribeJob", "ListJobExecutionsForJob")]
    alone.state.close()
    alone.open()
    assert [alone.call(operation, jobId="j") for operation in ("DescribeJob", "ListJobExecutionsForJob")] == before
    alone.passes(61)
    assert alone.counts() == {"TIMED_OUT": 1, "QUEUED": 3}, "timers and rollout go on"


def test_a_change_that_fails_is_not_there_at_all(alone: Alone) -> None:
    alone.fleet(2)
    alone.job()
    alone.news()
    with pytest.raises(ZeroDivisionError), alone.state.transaction():
        alone.call("DeleteJob", jobId="j", force=True)
        alone.call("DeleteThing", thingName="t0")
        raise ZeroDivisionError
    assert alone.counts() == {"QUEUED": 2}
    assert alone.news() == []
    alone.state.close()
    alone.open()
    assert alone.counts() == {"QUEUED": 2}
    assert alone.call("DescribeThing", thingName="t0")["thingName"] == "t0"
