"""A wave by AWS IoT Jobs, from the command line: offered once, followed, stopped by its rule, taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.cli.main import run as twinroot
from provisioning.fleet.device import Device
from provisioning.fleet.store import FleetStore
from provisioning.ledger.store import Ledger
from tests.aws.conftest import Moto
from tests.fleet.field import NAME, Field, devices
from tests.support.command import InProcess

FORWARD, BACK = "move_first_forward", "move_first_back"
WAVES = "  - {name: first, by: jobs, canary: 3}\n  - {name: rest, by: jobs, rest: true}"


@pytest.fixture
def field(moto: Moto, tmp_path: Path) -> Field:
    for n in range(6):
        moto.iot().create_thing(thingName=f"ws-{n}")
    made = Field(tmp_path, str(tmp_path / "ledger.sqlite"))
    made.make(devices(6), rules="{failed: 30%, minimum: 2}", waves=WAVES)
    return made


def status(field: Field, command: InProcess) -> dict[str, dict[str, int]]:
    code, said, _ = command("migrate", "status", str(field.file), "--ledger", field.url)
    assert code == 0
    return {wave["wave"]: wave["counts"] for wave in said["waves"]}


def test_a_wave_by_jobs(field: Field, moto: Moto, capsys: pytest.CaptureFixture[str]) -> None:
    command = InProcess(capsys)
    here = ("--ledger", field.url)
    code, said, _ = command("migrate", "run", str(field.file), "--once", *here)
    assert code == 0 and said["waves"][0]["job"] == FORWARD and said["waves"][0]["state"] == "running"
    job = moto.iot().describe_job(jobId=FORWARD)["job"]
    first = sorted(target.rpartition("/")[2] for target in job["targets"])
    assert len(first) == 3 and job["abortConfig"]["criteriaList"][0]["thresholdPercentage"] == 30.0
    moto.finish(FORWARD, first[0], "SUCCEEDED", "set 2")
    moto.finish(FORWARD, first[1], "FAILED", "update refused: version 2 was rolled back")
    code, said, told = command("migrate", "run", str(field.file), "--once", *here)
    assert code == 1 and said["code"] == "wave-stopped"
    assert said["message"] == "The wave first is stopped: 1 of 3 devices rolled it back, and the rule allows 0."
    assert "migrate back" in said["hint"] and "migrate back" in told
    assert moto.iot().describe_job(jobId=FORWARD)["job"]["status"] == "CANCELED"
    assert status(field, command)["first"] == {"done": 1, "rolled-back": 1, "withdrawn": 1}
    assert [r["operation"] for r in moto.requests("CreateJob")] == ["CreateJob"]
    code, said, _ = command("migrate", "back", str(field.file), "--wave", "first", "--once", *here)
    assert code == 0 and said["waves"][0]["state"] == "back-running"
    assert [t.rpartition("/")[2] for t in moto.iot().describe_job(jobId=BACK)["job"]["targets"]] == [first[0]]
    moto.finish(BACK, first[0], "SUCCEEDED", "set 3")
    code, said, _ = command("migrate", "back", str(field.file), "--wave", "first", "--once", *here)
    assert code == 0 and said["waves"][0]["state"] == "taken-back" and said["waves"][1]["state"] == "waiting"
    code, said, _ = command("migrate", "run", str(field.file), "--once", *here)
    assert code == 1 and "migrate end" in said["hint"]
    assert twinroot(["migrate", "end", str(field.file), *here]) == 0
    assert len(moto.requests("CreateJob")) == 2


def test_what_somebody_does_in_the_console_stops_it(field: Field, moto: Moto, capsys: pytest.CaptureFixture[str]) -> None:
    """So does AWS's own abort rule."""
    command = InProcess(capsys)
    command("migrate", "run", str(field.file), "--once", "--ledger", field.url)
    moto.iot().cancel_job(jobId=FORWARD)
    code, said, _ = command("migrate", "run", str(field.file), "--once", "--ledger", field.url)
    assert code == 1 and "somebody else withdrew the offer from 3 of 3 devices" in said["message"]


def test_a_device_that_aws_does_not_know_stops_before_the_job(field: Field, moto: Moto, capsys: pytest.CaptureFixture[str]) -> None:
    """The wave is begun and goes on when the device is registered: nothing was offered meanwhile."""
    command = InProcess(capsys)
    with Ledger.open(field.url) as ledger:
        FleetStore(ledger).put([Device(NAME, "ws-9", "mqtt", 1_900_000_000, 1, firmware="1.25.0")])
    lists = "  - {name: first, by: jobs, devices: [ws-1, ws-9]}"
    text = field.file.read_text()
    field.file.write_text(text[: text.index("waves:")] + f"waves:\n{lists}\n" + text[text.index("planned:") :])
    assert twinroot(["migrate", "plan", str(field.file), "--ledger", field.url]) == 0
    code, said, _ = command("migrate", "run", str(field.file), "--once", "--ledger", field.url)
    assert (code, said["code"]) == (2, "no-such-thing") and moto.iot().list_jobs()["jobs"] == []
    moto.iot().create_thing(thingName="ws-9")
    code, said, _ = command("migrate", "run", str(field.file), "--once", "--ledger", field.url)
    assert code == 0 and said["waves"][0]["counts"] == {"offered": 2}
