"""The control plane of jobs: CreateJob and what looks at, ends and deletes jobs and their executions."""

from __future__ import annotations

import json
from typing import Any

from provisioning.standin.account import executions, objects
from provisioning.standin.account.executions import PENDING, counted
from provisioning.standin.account.faults import Fault, invalid, missing, not_found
from provisioning.standin.account.model import moment
from provisioning.standin.account.operations import Operations, Params, Result, page
from provisioning.standin.account.registry import group, thing, thing_arn
from provisioning.standin.account.state import AccountState
from provisioning.standin.account.store import Record

OPERATIONS = Operations("iot")
_carries = OPERATIONS.carries

# Parts of a job that are given back as they came.
_AS_GIVEN = ("description", "jobExecutionsRolloutConfig", "abortConfig", "timeoutConfig", "destinationPackageVersions")
_COUNTS = {
    "numberOfCanceledThings": "CANCELED",
    "numberOfSucceededThings": "SUCCEEDED",
    "numberOfFailedThings": "FAILED",
    "numberOfRejectedThings": "REJECTED",
    "numberOfQueuedThings": "QUEUED",
    "numberOfInProgressThings": "IN_PROGRESS",
    "numberOfRemovedThings": "REMOVED",
    "numberOfTimedOutThings": "TIMED_OUT",
}
_LONGEST_TIMEOUT = 10080  # minutes: seven days


def job(account: AccountState, name: str) -> Record:
    """Raises Fault when there is none of that id."""
    found = account.table("jobs").get(name)
    if found is None:
        raise not_found(f"Job {name} cannot be found.")
    return found


def execution(account: AccountState, params: Params) -> Record:
    """The execution of a job on a thing that `params` name: by number, or the latest."""
    name, on = params["jobId"], params["thingName"]
    number = params.get("executionNumber")
    found = executions.latest(account, name, on) if number is None else account.table("executions").get(name, on, str(number))
    if found is None:
        raise not_found(f"Job Execution cannot be found for {name} on {on}.")
    return found


def _check_targets(account: AccountState, arns: list[str]) -> None:
    for arn in arns:
        kind, _, name = arn.rpartition(":")[2].partition("/")
        if arn != account.arn(f"{kind}/{name}") or kind not in ("thing", "thinggroup"):
            raise invalid(f"Target {arn} is not the ARN of a thing or a thing group of this account")
        (thing if kind == "thing" else group)(account, name)


def _document(account: AccountState, params: Params) -> str:
    """The job's document; from the folder that plays S3 when a source is named."""
    if ("document" in params) == ("documentSource" in params):
        raise invalid("Either document or documentSource must be given")
    text = params["document"] if "document" in params else objects.by_url(account, params["documentSource"]).decode("utf-8", "replace")
    try:
        json.loads(text)
    except ValueError as error:
        raise invalid("The job document is not JSON") from error
    if "${aws:iot:" in text:
        raise missing("placeholders in job documents (${aws:iot:…})")
    return str(text)


def _check_rules(params: Params) -> None:
    """What AWS checks beyond its model."""
    minutes = (params.get("timeoutConfig") or {}).get("inProgressTimeoutInMinutes")
    if minutes is not None and not 1 <= minutes <= _LONGEST_TIMEOUT:
        raise invalid(f"inProgressTimeoutInMinutes must be between 1 and {_LONGEST_TIMEOUT}")
    rollout = params.get("jobExecutionsRolloutConfig") or {}
    if not 1 <= rollout.get("maximumPerMinute", 1) <= executions.DEFAULT_RATE:
        raise invalid(f"maximumPerMinute must be between 1 and {executions.DEFAULT_RATE}")
    growing = rollout.get("exponentialRate")
    if growing and len(growing["rateIncreaseCriteria"]) != 1:
        raise invalid("rateIncreaseCriteria must have exactly one of numberOfNotifiedThings and numberOfSucceededThings")


@_carries(
    "CreateJob",
    "jobId targets document documentSource description targetSelection jobExecutionsRolloutConfig abortConfig timeoutConfig"
    " destinationPackageVersions",
)
def create_job(account: AccountState, params: Params) -> Result:
    name = params["jobId"]
    if account.table("jobs").get(name) is not None:
        raise Fault(
            "ResourceAlreadyExistsException", f"Job {name} already exists.", resourceId=name, resourceArn=account.arn(f"job/{name}")
        )
    _check_targets(account, params["targets"])
    _check_rules(params)
    now = account.now()
    record = {
        "jobId": name,
        "targets": params["targets"],
        "targetSelection": params.get("targetSelection", "SNAPSHOT"),
        "document": _document(account, params),
        "documentSource": params.get("documentSource"),
        "status": "IN_PROGRESS",
        "createdAt": now,
        "lastUpdatedAt": now,
        "waiting": [],
        **{key: params[key] for key in _AS_GIVEN if key in params},
    }
    account.table("jobs").put(name, record=record)
    things = executions.targets(account, params["targets"])
    executions.add_targets(account, name, things)
    if not things:
        executions.progress(account, name)
    return {"jobArn": account.arn(f"job/{name}"), "jobId": name, "description": params.get("description")}


@_carries("DescribeJob", "jobId beforeSubstitution")
def describe_job(account: AccountState, params: Params) -> Result:
    record = job(account, params["jobId"])
    counts = counted(account, record["jobId"])
    waiting = record["targets"] if record["waiting"] else None
    return {
        "documentSource": record.get("documentSource"),
        "job": {
            "jobArn": account.arn(f"job/{record['jobId']}"),
            **{key: record.get(key) for key in ("jobId", "targetSelection", "status", "targets", "forceCanceled", "reasonCode", "comment")},
            **{key: record.get(key) for key in _AS_GIVEN},
            **{key: moment(record.get(key)) for key in ("createdAt", "lastUpdatedAt", "completedAt")},
            "presignedUrlConfig": {},
            "isConcurrent": bool(waiting),
            "jobProcessDetails": {"processingTargets": waiting, **{key: counts[status] for key, status in _COUNTS.items()}},
        },
    }


@_carries("GetJobDocument", "jobId beforeSubstitution")
def get_job_document(account: AccountState, params: Params) -> Result:
    return {"document": job(account, params["jobId"])["document"]}


@_carries("ListJobs", "status targetSelection maxResults nextToken thingGroupName")
def list_jobs(account: AccountState, params: Params) -> Result:
    in_group = params.get("thingGroupName")
    arn = account.arn(f"thinggroup/{group(account, in_group)['name']}") if in_group else None
    found = [
        record
        for record in reversed(account.table("jobs").values())
        if params.get("status") in (None, record["status"])
        and params.get("targetSelection") in (None, record["targetSelection"])
        and (arn is None or arn in record["targets"])
    ]
    shown, token = page(found, params)
    return {
        "jobs": [
            {
                "jobArn": account.arn(f"job/{record['jobId']}"),
                **{key: record[key] for key in ("jobId", "targetSelection", "status")},
                **{key: moment(record.get(key)) for key in ("createdAt", "lastUpdatedAt", "completedAt")},
                "isConcurrent": bool(record["waiting"]),
            }
            for record in shown
        ],
        "nextToken": token,
    }


@_carries("UpdateJob", "jobId description jobExecutionsRolloutConfig abortConfig timeoutConfig")
def update_job(account: AccountState, params: Params) -> Result:
    record = job(account, params["jobId"])
    _check_rules(params)
    fields = {key: params[key] for key in _AS_GIVEN if key in params}
    account.table("jobs").change(record["jobId"], lastUpdatedAt=account.now(), **fields)
    return {}


@_carries("CancelJob", "jobId reasonCode comment force")
def cancel_job(account: AccountState, params: Params) -> Result:
    record = job(account, params["jobId"])
    if record["status"] == "COMPLETED":
        raise invalid(f"Job {record['jobId']} is completed and cannot be canceled")
    if record["status"] != "CANCELED":
        force, reason, comment = bool(params.get("force")), params.get("reasonCode"), params.get("comment")
        executions.cancel(account, record, force=force, reason=reason, comment=comment)
    return {
        "jobArn": account.arn(f"job/{record['jobId']}"),
        "jobId": record["jobId"],
        "description": record.get("description"),
    }


@_carries("DeleteJob", "jobId force")
def delete_job(account: AccountState, params: Params) -> Result:
    record = job(account, params["jobId"])
    if record["status"] == "IN_PROGRESS" and not params.get("force"):
        raise Fault("InvalidStateTransitionException", f"Job {record['jobId']} is in progress: it is deleted only by force")
    found = account.table("executions").where("job", record["jobId"])
    with executions.notifying(account, *{each["thing"] for each in found}):
        for each in found:
            account.table("executions").delete(each["job"], each["thing"], str(each["number"]))
    account.table("jobs").delete(record["jobId"])
    return {}


@_carries("AssociateTargetsWithJob", "targets jobId comment")
def associate_targets_with_job(account: AccountState, params: Params) -> Result:
    record = job(account, params["jobId"])
    if record["targetSelection"] != "CONTINUOUS" or record["status"] != "IN_PROGRESS":
        raise invalid("Targets are associated with continuous jobs in progress only")
    _check_targets(account, params["targets"])
    both = list(dict.fromkeys([*record["targets"], *params["targets"]]))
    account.table("jobs").change(record["jobId"], targets=both, comment=params.get("comment", record.get("comment")))
    new = [
        each
        for each in executions.targets(account, params["targets"])
        if each not in record["waiting"] and executions.latest(account, record["jobId"], each) is None
    ]
    executions.add_targets(account, record["jobId"], new)
    return {
        "jobArn": account.arn(f"job/{record['jobId']}"),
        "jobId": record["jobId"],
        "description": record.get("description"),
    }


# -- executions ----------------------------------------------------------------------------------------------------------


def _summary(record: Record) -> dict[str, Any]:
    return {
        "status": record["status"],
        **{key: moment(record.get(key)) for key in ("queuedAt", "startedAt", "lastUpdatedAt")},
        "executionNumber": record["number"],
        "retryAttempt": 0,
    }


@_carries("ListJobExecutionsForJob", "jobId status maxResults nextToken")
def list_job_executions_for_job(account: AccountState, params: Params) -> Result:
    found = account.table("executions").where("job", job(account, params["jobId"])["jobId"])
    shown, token = page([each for each in found if params.get("status") in (None, each["status"])], params)
    rows = [{"thingArn": thing_arn(account, each["thing"]), "jobExecutionSummary": _summary(each)} for each in shown]
    return {"executionSummaries": rows, "nextToken": token}


@_carries("ListJobExecutionsForThing", "thingName status maxResults nextToken jobId")
def list_job_executions_for_thing(account: AccountState, params: Params) -> Result:
    found = account.table("executions").where("thing", thing(account, params["thingName"])["name"])
    wanted = [each for each in found if params.get("status") in (None, each["status"]) and params.get("jobId") in (None, each["job"])]
    shown, token = page(wanted, params)
    return {"executionSummaries": [{"jobId": each["job"], "jobExecutionSummary": _summary(each)} for each in shown], "nextToken": token}


@_carries("DescribeJobExecution", "jobId thingName executionNumber")
def describe_job_execution(account: AccountState, params: Params) -> Result:
    found = execution(account, params)
    return {
        "execution": {
            "jobId": found["job"],
            "status": found["status"],
            "forceCanceled": bool(found.get("forceCanceled")),
            "statusDetails": {"detailsMap": found["details"]},
            "thingArn": thing_arn(account, found["thing"]),
            **{key: moment(found.get(key)) for key in ("queuedAt", "startedAt", "lastUpdatedAt")},
            "executionNumber": found["number"],
            "versionNumber": found["version"],
            "approximateSecondsBeforeTimedOut": executions.seconds_left(account, found),
        }
    }


@_carries("CancelJobExecution", "jobId thingName force expectedVersion statusDetails")
def cancel_job_execution(account: AccountState, params: Params) -> Result:
    found = execution(account, params)
    expected = params.get("expectedVersion")
    if expected is not None and expected != found["version"]:
        raise Fault("VersionConflictException", f"Version {expected} was expected, it is {found['version']}")
    if found["status"] not in PENDING or (found["status"] == "IN_PROGRESS" and not params.get("force")):
        raise Fault("InvalidStateTransitionException", f"The job execution is {found['status']} and cannot be canceled")
    details = params.get("statusDetails", found["details"])
    executions.change(account, found, status="CANCELED", details=details, forceCanceled=True if params.get("force") else None)
    return {}


@_carries("DeleteJobExecution", "jobId thingName executionNumber force")
def delete_job_execution(account: AccountState, params: Params) -> Result:
    found = execution(account, params)
    if found["status"] in PENDING and not params.get("force"):
        raise Fault("InvalidStateTransitionException", f"The job execution is {found['status']} and is deleted only by force")
    with executions.notifying(account, found["thing"]):
        account.table("executions").delete(found["job"], found["thing"], str(found["number"]))
        executions.progress(account, found["job"])
    return {}
