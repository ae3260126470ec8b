"""Jobs as devices ask for them: the same four requests over MQTT topics and over the REST API of iot-jobs-data.

Parameters and results are those of botocore's model of iot-jobs-data; over MQTT, the document of a job is JSON and not text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from provisioning.standin.account import executions
from provisioning.standin.account.faults import Fault
from provisioning.standin.account.operations import Operations, Params, Result
from provisioning.standin.account.state import AccountState
from provisioning.standin.account.store import Record

OPERATIONS = Operations("iot-jobs-data")
_carries = OPERATIONS.carries

_NEXT = "$next"
_BY_DEVICES = ("IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED")
_LONGEST_STEP = 10080  # minutes
_DETAILS, _LONGEST_NAME, _LONGEST_VALUE = 10, 128, 1024


@dataclass
class NotAccepted(Exception):
    """A request that is not carried out: the code that MQTT has for it, the error that REST has, the state it concerns."""

    name: str
    message: str
    execution: Record | None = None


_FAULTS = {
    "InvalidRequest": "InvalidRequestException",
    "InvalidStateTransition": "InvalidStateTransitionException",
    "ResourceNotFound": "ResourceNotFoundException",
    "VersionMismatch": "InvalidStateTransitionException",
    "TerminalStateReached": "TerminalStateException",
}


def state_of(execution: Record) -> dict[str, Any]:
    """JobExecutionState."""
    found = {"status": execution["status"], "statusDetails": execution["details"], "versionNumber": execution["version"]}
    return {name: value for name, value in found.items() if value != {}}


def _thing(account: AccountState, params: Params) -> str:
    name = str(params["thingName"])
    if account.table("things").get(name) is None:
        raise NotAccepted("ResourceNotFound", f"Thing {name} not found")
    return name


def _check(params: Params) -> None:
    minutes = params.get("stepTimeoutInMinutes")
    if minutes is not None and minutes != -1 and not 1 <= minutes <= _LONGEST_STEP:
        raise NotAccepted("InvalidRequest", f"stepTimeoutInMinutes must be between 1 and {_LONGEST_STEP}, or -1")
    details = params.get("statusDetails", {})
    if len(details) > _DETAILS:
        raise NotAccepted("InvalidRequest", f"statusDetails has at most {_DETAILS} name-value pairs")
    for name, value in details.items():
        if len(name) > _LONGEST_NAME or not 0 < len(value) <= _LONGEST_VALUE:
            raise NotAccepted("InvalidRequest", f"statusDetails: '{name[:_LONGEST_NAME]}' or its value is too long, or empty")


def get_pending(account: AccountState, params: Params) -> Result:
    found = executions.pending(account, _thing(account, params))
    return {
        key: [executions.summary(each) for each in found if each["status"] == status]
        for key, status in (("inProgressJobs", "IN_PROGRESS"), ("queuedJobs", "QUEUED"))
    }


def start_next(account: AccountState, params: Params) -> Result:
    _check(params)
    found = next(iter(executions.pending(account, _thing(account, params))), None)
    if found is None:
        return {}
    if found["status"] == "QUEUED":
        details = params.get("statusDetails", found["details"])
        found = executions.change(account, found, status="IN_PROGRESS", details=details, **_step(account, params))
    elif "stepTimeoutInMinutes" in params:
        found = executions.change(account, found, **_step(account, params))
    return {"execution": executions.shown(account, found)}


def _step(account: AccountState, params: Params) -> dict[str, Any]:
    minutes = params.get("stepTimeoutInMinutes")
    if minutes is None:
        return {}
    return {"stepDue": None if minutes == -1 else account.now() + minutes * 60}


def describe(account: AccountState, params: Params) -> Result:
    thing, job, number = _thing(account, params), params["jobId"], params.get("executionNumber")
    if job == _NEXT:
        found = next(iter(executions.pending(account, thing)), None)
        if found is None:
            return {}
    else:
        found = _found(account, job, thing, number)
        if found["status"] in executions.TERMINAL:
            raise NotAccepted("TerminalStateReached", f"Job Execution has reached terminal state. Status: {found['status']}")
    return {"execution": executions.shown(account, found, with_document=params.get("includeJobDocument", True))}


def _found(account: AccountState, job: str, thing: str, number: Any) -> Record:
    found = executions.latest(account, job, thing) if number is None else account.table("executions").get(job, thing, str(number))
    if found is None:
        raise NotAccepted("ResourceNotFound", f"Job {job} does not exist for thing {thing}")
    return found


def update(account: AccountState, params: Params) -> Result:
    thing, status = _thing(account, params), params["status"]
    found = _found(account, params["jobId"], thing, params.get("executionNumber"))
    if status not in _BY_DEVICES:
        raise NotAccepted("InvalidRequest", f"A device does not set the status {status}")
    _check(params)
    expected = params.get("expectedVersion")
    if expected is not None and expected != found["version"]:
        raise NotAccepted("VersionMismatch", f"Expected version: {expected}, actual version: {found['version']}", found)
    if found["status"] in executions.TERMINAL:
        raise NotAccepted(
            "InvalidStateTransition", f"Job Execution status transition from {found['status']} to {status} is not allowed.", found
        )
    details = params.get("statusDetails", found["details"])
    changed = executions.change(account, found, status=status, details=details, **_step(account, params))
    answer: Result = {}
    if params.get("includeJobExecutionState"):
        answer["executionState"] = state_of(changed)
    if params.get("includeJobDocument"):
        answer["jobDocument"] = executions.document(account, changed["job"])
    return answer


# -- over REST -----------------------------------------------------------------------------------------------------------


def _over_rest(name: str, run: Any, takes: str) -> None:
    def answer(account: AccountState, params: Params) -> Result:
        try:
            result: Result = run(account, params)
        except NotAccepted as error:
            raise Fault(_FAULTS[error.name], error.message) from error
        for part in (result, result.get("execution", {})):
            if "jobDocument" in part:
                part["jobDocument"] = json.dumps(part["jobDocument"])
        return result

    _carries(name, takes)(answer)


_over_rest("GetPendingJobExecutions", get_pending, "thingName")
_over_rest("StartNextPendingJobExecution", start_next, "thingName statusDetails stepTimeoutInMinutes")
_over_rest("DescribeJobExecution", describe, "jobId thingName includeJobDocument executionNumber")
_over_rest(
    "UpdateJobExecution",
    update,
    "jobId thingName status statusDetails stepTimeoutInMinutes expectedVersion includeJobExecutionState includeJobDocument executionNumber",
)
