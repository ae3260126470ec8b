"""AWS IoT Jobs from the account's side: made once however often it is asked for, watched, cancelled.

What a device does with one is in firmware/twinroot/jobs.py, what its document holds in provisioning/ota/job_document.py. AWS rolls a job
out at its pace: a device that has not been told of it yet has no execution.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import Any

from provisioning.aws import groups
from provisioning.aws.iot_api import Aws, Exists, NotFound
from provisioning.aws.parallel import each
from provisioning.errors import InputError
from provisioning.ota.job_document import LIMIT, TooLarge
from provisioning.parsed import from_json

TARGETS = 100  # of a job, by AWS's limits: more go through a thing group
_PAGE = 250  # executions a page: AWS's maximum
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_COUNTS = ("Queued", "InProgress", "Succeeded", "Failed", "Rejected", "TimedOut", "Removed", "Canceled")
_OVER = ("CANCELED", "COMPLETED", "DELETION_IN_PROGRESS")
_SAID_NOTHING = ("QUEUED", "REMOVED", "CANCELED")  # a device in one of these has no details of its own


@dataclass(frozen=True)
class Rollout:
    """How fast, and when AWS stops by itself.

    `per_minute`: devices that are told of the job in a minute, 1 to 1000. `abort_percent`: the job is cancelled when this share of the
    executions has failed, been rejected or timed out, more than 0 to 100, two decimals; None: never. `abort_minimum`: and this many devices
    have been told of it. `timeout_minutes`: what a device has from its start on, 1 to 10080; None: for ever.
    """

    per_minute: int = 100
    abort_percent: float | None = 10.0
    abort_minimum: int = 10
    timeout_minutes: int | None = 1440

    def __post_init__(self) -> None:
        """Raises InputError for what AWS would not take."""
        _within("devices a minute", self.per_minute, 1, 1000)
        _within("the number of devices before a job may be aborted", self.abort_minimum, 1, 2**31 - 1)
        if self.abort_percent is not None:
            _within("the percentage at which a job is aborted", self.abort_percent, 0.01, 100)
        if self.timeout_minutes is not None:
            _within("the minutes that a device has", self.timeout_minutes, 1, 10080)

    def arguments(self) -> dict[str, Any]:
        """As CreateJob takes it. The share is that of all failures in sum: three criteria of 10 % each would let 30 % fail."""
        made: dict[str, Any] = {"jobExecutionsRolloutConfig": {"maximumPerMinute": self.per_minute}}
        if self.abort_percent is not None:
            criterion = {
                "failureType": "ALL",
                "action": "CANCEL",
                "thresholdPercentage": round(self.abort_percent, 2),
                "minNumberOfExecutedThings": self.abort_minimum,
            }
            made["abortConfig"] = {"criteriaList": [criterion]}
        if self.timeout_minutes is not None:
            made["timeoutConfig"] = {"inProgressTimeoutInMinutes": self.timeout_minutes}
        return made


@dataclass(frozen=True)
class Execution:
    """One device's part of a job. `status`: AWS's word (QUEUED, IN_PROGRESS, SUCCEEDED, FAILED, TIMED_OUT, REJECTED, REMOVED, CANCELED).
    `detail`: what the device said of it, where that was asked for. `at`: unix seconds of the last change."""

    thing: str
    status: str
    detail: str
    at: int


@dataclass(frozen=True)
class Job:
    """A job as AWS has it. `status`: IN_PROGRESS, CANCELED, COMPLETED, SCHEDULED, DELETION_IN_PROGRESS. `counts`: executions by status, as
    far as the rollout has come. `reason`: why it was cancelled; AWS's own abort says so too."""

    status: str
    counts: dict[str, int]
    reason: str
    targets: tuple[str, ...]


def create(aws: Aws, job_id: str, things: Iterable[str], document: bytes, rollout: Rollout, *, packages: Iterable[str] = ()) -> None:
    """Make the job for these things: by name up to 100, else through a group of its own, twinroot-JOB. `packages`: ARNs of the versions
    that devices have when they succeed (packages.py).

    The same job again is nothing to do, so it is safe to repeat after a lost answer, or a kill while the group was filled. Raises
    InputError when a job of this name has another document or other things, or when a thing is not in the registry.
    """
    wanted = list(dict.fromkeys(things))
    _check(job_id, wanted, document)
    if _is_there(aws, job_id, wanted, document):
        return
    if len(wanted) > TARGETS:
        targets = [groups.ensure(aws, _group(job_id), wanted)]
    else:
        prefix = _prefix(aws, wanted[0])
        targets = [prefix + thing for thing in wanted]
    arguments = rollout.arguments()
    if arns := list(packages):
        arguments["destinationPackageVersions"] = arns
    try:
        aws.call("create_job", jobId=job_id, targets=targets, document=document.decode(), targetSelection="SNAPSHOT", **arguments)
    except Exists:  # an answer was lost and the request repeated, or another computer was faster
        if not _is_there(aws, job_id, wanted, document):
            raise
    except NotFound as e:
        raise _no_thing(aws, "A device of the job", e) from e


def executions(aws: Aws, job_id: str, *, details: bool = False) -> Iterator[Execution]:
    """Every execution that there is yet, page by page. `details`: one more request for each device that has said something.
    Raises InputError when there is no such job."""
    rows = _found(job_id, aws.pages("list_job_executions_for_job", "executionSummaries", jobId=job_id, maxResults=_PAGE))
    if not details:
        return (_execution(row) for row in rows)
    return each(partial(detailed, aws, job_id), (_execution(row) for row in rows))


def describe(aws: Aws, job_id: str) -> Job:
    """Raises InputError when there is no such job."""
    try:
        job = aws.call("describe_job", jobId=job_id)["job"]
    except NotFound as e:
        raise _no_job(job_id) from e
    details = job.get("jobProcessDetails", {})
    counts = {_word(name): int(details.get(f"numberOf{name}Things") or 0) for name in _COUNTS}
    reason = job.get("comment") or job.get("reasonCode") or ""
    return Job(str(job["status"]), counts, str(reason), tuple(str(t) for t in job.get("targets", ())))


def state(aws: Aws, job_id: str) -> str:
    """The job's status, AWS's word."""
    return describe(aws, job_id).status


def cancel(aws: Aws, job_id: str, reason: str, *, force: bool = False) -> None:
    """No further device begins. One that has begun goes on to its end; with `force` it is stopped where it is, and stays with the set
    that it has. A job that is over stays as it is."""
    if describe(aws, job_id).status in _OVER:
        return
    words = " ".join(reason.split())[:2028]
    code = re.sub(r"[^A-Z0-9]+", "_", words.upper()).strip("_")[:128]
    arguments: dict[str, Any] = {"comment": words} if words else {}
    if code:
        arguments["reasonCode"] = code
    try:
        aws.call("cancel_job", jobId=job_id, force=force, **arguments)
    except InputError:
        if describe(aws, job_id).status not in _OVER:
            raise


def _within(what: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError("bad-rollout", f"{value:g} is out of range: AWS takes {low:g} to {high:g} for {what}.", "Correct the rollout.")


def _check(job_id: str, things: list[str], document: bytes) -> None:
    if not _ID.fullmatch(job_id):
        raise InputError("bad-job-id", f"{job_id[:40]!r} cannot be the name of a job.", "1 to 64 letters, digits, '_' and '-'.")
    if not things:
        raise InputError("no-devices", f"Job {job_id} has no devices.", "Name at least one.")
    try:
        from_json(document)
    except ValueError as e:
        raise InputError("bad-document", f"The document of job {job_id} is not JSON: {e}.", "`twinroot sign job` writes one.") from e
    if len(document) > LIMIT:
        raise TooLarge(
            "job-too-large",
            f"The document of job {job_id} has {len(document):,} bytes, and AWS IoT takes {LIMIT:,}.",
            "Send the set by topic or by stream.",
        )


def _is_there(aws: Aws, job_id: str, things: list[str], document: bytes) -> bool:
    """Whether AWS has this very job. Raises InputError when it has another one of its name."""
    try:
        job = describe(aws, job_id)
    except NoJob:
        return False
    if from_json(aws.call("get_job_document", jobId=job_id)["document"].encode()) != from_json(document):
        raise _other(job_id, "another document")
    if len(job.targets) == 1 and ":thinggroup/" in job.targets[0]:
        found = set(groups.members(aws, job.targets[0].rpartition("/")[2]))
    else:
        found = {target.partition(":thing/")[2] for target in job.targets}
    if found != set(things):
        raise _other(job_id, "other devices")
    return True


def _other(job_id: str, what: str) -> InputError:
    return InputError("exists-differently", f"There is a job {job_id} already, with {what}.", "Give this one another name.")


def _group(job_id: str) -> str:
    return f"twinroot-{job_id}"


def _prefix(aws: Aws, thing: str) -> str:
    """What the ARN of every thing here begins with: it has the account's number, which is not asked for elsewhere."""
    try:
        arn = str(aws.call("describe_thing", thingName=thing)["thingArn"])
    except NotFound as e:
        raise _no_thing(aws, thing, e) from e
    return arn.partition(":thing/")[0] + ":thing/"


def _no_thing(aws: Aws, what: str, cause: NotFound) -> InputError:
    message = f"{what} is not in AWS's registry in {aws.region}: {cause.message}"
    return InputError("no-such-thing", message, "`twinroot aws register` puts devices there.")


class NoJob(InputError):
    """AWS has no job of this name."""


def _no_job(job_id: str) -> NoJob:
    return NoJob("no-job", f"AWS has no job {job_id}.", "Correct its name, and the region.")


def _found(job_id: str, rows: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from rows
    except NotFound as e:
        raise _no_job(job_id) from e


def _execution(row: Any) -> Execution:
    summary = row["jobExecutionSummary"]
    thing = str(row["thingArn"]).partition(":thing/")[2]
    return Execution(thing, str(summary["status"]), "", _seconds(summary.get("lastUpdatedAt") or summary.get("queuedAt")))


def detailed(aws: Aws, job_id: str, found: Execution) -> Execution:
    """`found` with what its device said of it."""
    if found.status in _SAID_NOTHING:
        return found
    try:
        execution = aws.call("describe_job_execution", jobId=job_id, thingName=found.thing)["execution"]
    except NotFound:  # deleted meanwhile
        return found
    said = execution.get("statusDetails", {}).get("detailsMap", {})
    detail = said.get("why") or "; ".join(f"{key}: {value}" for key, value in sorted(said.items()))
    at = execution.get("lastUpdatedAt")
    return Execution(found.thing, str(execution["status"]), str(detail), _seconds(at) if at else found.at)


def _seconds(value: Any) -> int:
    if isinstance(value, datetime):
        return int(value.astimezone(timezone.utc).timestamp())
    return int(value or 0)


def _word(name: str) -> str:
    """numberOf…Things -> the status as executions have it: InProgress -> IN_PROGRESS."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
