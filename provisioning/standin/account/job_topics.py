"""Jobs over MQTT: what a device publishes to $aws/things/THING/jobs/… is answered on the topic with accepted or rejected behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from provisioning.standin.account import device_jobs
from provisioning.standin.account.calls import LONGEST_TOKEN, Call
from provisioning.standin.account.device_jobs import NotAccepted
from provisioning.standin.account.faults import Fault
from provisioning.standin.account.models import MODELS
from provisioning.standin.account.state import AccountState

Run = Callable[[AccountState, dict[str, Any]], dict[str, Any]]


def _answered(operation: str, run: Run) -> Callable[[AccountState, Call], None]:
    """A handler of calls that holds the payload against the model of `operation` and lets `run` carry it out."""

    def handle(account: AccountState, call: Call) -> None:
        token: dict[str, str] = {}
        try:
            params = _parameters(operation, call, token)
            result = run(account, params)
        except NotAccepted as error:
            answer = {"code": error.name, "message": error.message, **token, "timestamp": int(account.now())}
            if error.execution is not None:
                answer["executionState"] = device_jobs.state_of(error.execution)
            account.post_first(f"{call.topic}/rejected", answer)
        else:
            account.post_first(f"{call.topic}/accepted", {**token, "timestamp": int(account.now()), **result})

    return handle


def _parameters(operation: str, call: Call, token: dict[str, str]) -> dict[str, Any]:
    """What the payload and the topic ask for. Puts the client token into `token` as soon as it is known."""
    try:
        body = call.json()
    except ValueError as error:
        raise NotAccepted("InvalidJson", f"Failed to parse the request: {error}") from error
    if not isinstance(body, dict):
        raise NotAccepted("InvalidJson", "The request is not a JSON object")
    given = body.pop("clientToken", None)
    if given is not None:
        if not isinstance(given, str) or len(given.encode()) > LONGEST_TOKEN:
            raise NotAccepted("InvalidRequest", f"clientToken must be a string of at most {LONGEST_TOKEN} bytes")
        token["clientToken"] = given
    params = {name: value for name, value in body.items() if value is not None} | call.names | {"thingName": call.thing}
    try:
        MODELS.service("iot-jobs-data").operation(operation).check(params)
    except Fault as fault:
        raise NotAccepted("InvalidRequest", fault.message) from fault
    return params


get = _answered("GetPendingJobExecutions", device_jobs.get_pending)
start_next = _answered("StartNextPendingJobExecution", device_jobs.start_next)
describe = _answered("DescribeJobExecution", device_jobs.describe)
update = _answered("UpdateJobExecution", device_jobs.update)
