"""What tests of the stand-in's account share: boto3 clients that find it by their environment, ARNs, an account without a process."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from provisioning.standin import StandIn
from provisioning.standin.access import IN_THE_WAY

pytest.importorskip("boto3", reason="the extra aws is not installed")

from provisioning.standin.account import executions, topics
from provisioning.standin.account.operations import Params, Result
from provisioning.standin.account.plane import CARRIED
from provisioning.standin.account.state import AccountState, Place

PLACE = Place("us-east-1", "abc-ats.iot.us-east-1.amazonaws.com", "abc.iot.us-east-1.amazonaws.com", "abc", "iot.us-east-1.amazonaws.com")


def arn(name: str, kind: str = "thing") -> str:
    return f"arn:aws:iot:us-east-1:123456789012:{kind}/{name}"


_CLIENTS: WeakKeyDictionary[StandIn, dict[str, Any]] = WeakKeyDictionary()


def client(cloud: StandIn, service: str, **options: Any) -> Any:
    """A client of boto3 that finds the stand-in as any program would, by its environment. One for each service, but with `options`."""
    made = _CLIENTS.setdefault(cloud, {})
    if options or service not in made:
        new = _client(cloud, service, **options)
        if options:
            return new
        made[service] = new
    return made[service]


def _client(cloud: StandIn, service: str, **options: Any) -> Any:
    import boto3
    from botocore.config import Config

    with pytest.MonkeyPatch.context() as patch:
        for name in IN_THE_WAY:
            patch.delenv(name, raising=False)
        for name, value in cloud.account.variables.items():
            patch.setenv(name, value)
        return boto3.Session().client(service, config=Config(retries={"total_max_attempts": 1}), **options)


def code(error: Any) -> tuple[str, int]:
    """Code and HTTP status of a ClientError."""
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@dataclass
class Alone:
    """An account in this process, with a clock that tests set; `sent` is what devices would get."""

    folder: Path
    now: float = 1_000_000.0
    sent: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        self.state = AccountState(self.folder, PLACE, lambda: self.now, lambda topic, body: self.sent.append((topic, json.loads(body))))

    def call(self, operation: str, service: str = "iot", **params: Any) -> Result:
        """An operation as the control plane carries it out, without HTTP."""
        given: Params = params
        with self.state.transaction():
            result = CARRIED[service, operation].run(self.state, given)
            executions.run_due(self.state)
        return result

    def passes(self, seconds: float) -> None:
        self.now += seconds
        executions.run_due(self.state)

    def device(self, topic: str, **body: Any) -> dict[str, Any]:
        """What a device publishes below $aws/things/; the answer."""
        before = len(self.sent)
        assert topics.receive(self.state, f"$aws/things/{topic}", json.dumps(body).encode())
        executions.run_due(self.state)
        answers = [message for name, message in self.sent[before:] if name.startswith(f"$aws/things/{topic}/")]
        return dict(answers[0])

    def news(self) -> list[tuple[str, Any]]:
        """What was sent since the last call."""
        sent, self.sent[:] = list(self.sent), []
        return sent

    def fleet(self, count: int) -> list[str]:
        """Things t0, t1, … in group g."""
        self.call("CreateThingGroup", thingGroupName="g")
        names = [f"t{number}" for number in range(count)]
        for name in names:
            self.call("CreateThing", thingName=name)
            self.call("AddThingToThingGroup", thingGroupName="g", thingName=name)
        return names

    def job(self, name: str = "j", **options: Any) -> None:
        given = {"targets": [arn("g", "thinggroup")], "document": "{}", **options}
        self.call("CreateJob", jobId=name, **given)

    def counts(self, name: str = "j") -> dict[str, int]:
        """Executions by status, where there are some."""
        return {status: count for status, count in executions.counted(self.state, name).items() if count}

    def status(self, name: str = "j") -> str:
        return str(self.call("DescribeJob", jobId=name)["job"]["status"])

    def report(self, thing: str, status: str, job: str = "j") -> dict[str, Any]:
        return self.device(f"{thing}/jobs/{job}/update", status=status)
