"""A wave by jobs over the stand-in's account, at the pace of its rollout: those whom the rollout has not come to are not taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.standin import StandIn
from provisioning.standin.access import IN_THE_WAY
from tests.fleet.field import Field, devices
from tests.standin.account import client
from tests.support.command import InProcess

FORWARD, BACK = "move_rest_forward", "move_rest_back"


def test_a_rollout_that_is_stopped(
    shared: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in IN_THE_WAY:
        monkeypatch.delenv(name, raising=False)
    for name, value in shared.account.variables.items():
        monkeypatch.setenv(name, value)
    iot, data = client(shared, "iot"), client(shared, "iot-jobs-data")
    for n in range(6):
        shared.issue(f"ws-{n}")
    field, command = Field(tmp_path, str(tmp_path / "ledger.sqlite")), InProcess(capsys)
    field.make(devices(6), rules="{failed: 60%, minimum: 2}", waves="  - {name: rest, by: jobs, rest: true}")
    field.file.write_text(field.file.read_text().replace("per_minute: 100", "per_minute: 2"))

    def migrate(what: str, *more: str) -> tuple[int, dict[str, int]]:
        code, said, _ = command("migrate", what, str(field.file), *more, "--once", "--ledger", field.url)
        return code, said["waves"][0]["counts"]

    assert migrate("run") == (0, {"offered": 6})
    begun = [row["thingArn"].rpartition("/")[2] for row in iot.list_job_executions_for_job(jobId=FORWARD)["executionSummaries"]]
    assert len(begun) == 2
    data.update_job_execution(jobId=FORWARD, thingName=begun[0], status="SUCCEEDED")
    assert migrate("run") == (0, {"done": 1, "offered": 5})
    why = {"why": "update refused: version 2 was rolled back"}
    data.update_job_execution(jobId=FORWARD, thingName=begun[1], status="FAILED", statusDetails=why)
    assert migrate("run") == (1, {"done": 1, "rolled-back": 1, "withdrawn": 4})
    assert iot.describe_job(jobId=FORWARD)["job"]["status"] == "CANCELED"
    assert migrate("back", "--wave", "rest") == (0, {"back-offered": 1, "rolled-back": 1, "withdrawn": 4})
    data.update_job_execution(jobId=BACK, thingName=begun[0], status="SUCCEEDED")
    assert migrate("back", "--wave", "rest") == (0, {"rolled-back": 1, "taken-back": 1, "withdrawn": 4})
