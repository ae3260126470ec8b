"""`twinroot aws job | index | package`: what they print, their exit codes, and what they refuse before AWS is asked."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from provisioning.aws import iot_api
from provisioning.cli.main import run
from tests.aws.conftest import Moto
from tests.aws.test_jobs import things
from tests.aws.test_packages import ARN, FOUND, VERSION
from tests.aws.test_streams import BUCKET, ROLE, container
from tests.support.aws_contract import Contract

CLEAN = {"QUEUED": 0, "IN_PROGRESS": 0, "SUCCEEDED": 0, "FAILED": 0, "REJECTED": 0, "TIMED_OUT": 0, "REMOVED": 0, "CANCELED": 0}


def signed(folder: Path, size: int = 900, **other: Any) -> Path:
    file = folder / "set.bin"
    file.write_bytes(container(size=size, product="weather-station", expires=int(time.time()) + 1000, **other))
    return file


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_set_goes_to_the_devices_of_a_list(moto: Moto, product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = things(moto, 3)
    file = signed(product.parent)
    csv = product.parent / "devices.csv"
    csv.write_text("device,thing\n" + "".join(f"d{n},{name}\n" for n, name in enumerate(names)))
    product.write_text(product.read_text() + 'client_id: "{thing}"\n')
    create = ["aws", "job", "create", str(file), "--product", str(product), "--devices", str(csv), "--region", "us-east-1", "--json"]
    for _ in range(2):
        assert run(create) == 0
        found = told(capsys)
        assert found["job"] == "weather-station-2" and found["devices"] == 3 and found["carrier"] == "parts"
    made = moto.iot().describe_job(jobId="weather-station-2")["job"]
    assert [target.rpartition("/")[2] for target in made["targets"]] == names
    document = json.loads(moto.iot().get_job_document(jobId="weather-station-2")["document"])
    assert document["twinroot"]["version"] == 2 and document["twinroot"]["parts"]
    assert run(["aws", "job", "status", "weather-station-2", "--json"]) == 0
    assert told(capsys)["counts"] == {**CLEAN, "QUEUED": 3}
    moto.finish("weather-station-2", names[0], "SUCCEEDED", "set 2")
    moto.finish("weather-station-2", names[1], "FAILED", "update refused: expired")
    assert run(["aws", "job", "status", "weather-station-2", "--details"]) == 1
    shown = capsys.readouterr()
    assert "ws-0002: FAILED, update refused: expired" in shown.out and "1 QUEUED, 1 SUCCEEDED, 1 FAILED" in shown.out
    assert "1 of 3 devices" in shown.err
    assert run(["aws", "job", "status", "weather-station-2", "--json"]) == 1
    assert told(capsys)["code"] == "job-failed"
    assert run(["aws", "job", "cancel", "weather-station-2", "--reason", "one failed", "--json"]) == 0
    assert told(capsys)["state"] == "CANCELED"
    assert run(["aws", "job", "status", "weather-station-9", "--json"]) == 2
    assert told(capsys)["code"] == "no-job"


def test_devices_by_name_and_by_topic(moto: Moto, product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    things(moto, 2)
    file = signed(product.parent, size=60_000)
    create = ["aws", "job", "create", str(file), "--device", "ws-0001", "--device", "ws-0002", "--json"]
    assert run(create) == 2
    assert told(capsys)["code"] == "job-too-large"
    assert run([*create, "--topic", "updates/2", "--job", "by-topic"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["carrier"] == "topic" and "Publish the chunks on updates/2" in shown.err
    assert json.loads(moto.iot().get_job_document(jobId="by-topic")["document"]) == {"twinroot": {"version": 2, "topic": "updates/2"}}


@pytest.mark.parametrize(
    ("made", "arguments", "code"),
    [
        ({}, [], "no-devices"),
        ({"device": "ws-0001"}, ["--device", "ws-0001", "--device", "ws-0002"], "set-of-one-device"),
        ({"expires": 5}, ["--device", "ws-0001"], "set-expired"),
        ({}, ["--device", "ws-0001", "--bucket", "b"], "bad-arguments"),
        ({}, ["--device", "ws-0001", "--bucket", "b-b", "--role-arn", "arn:aws:iam::123456789012:role/x", "--topic", "t"], "bad-arguments"),
        ({}, ["--device", "ws-0001", "--bucket", "b-b", "--role-arn", "x"], "bad-role"),
        ({}, ["--device", "ws-0001", "--per-minute", "5000"], "bad-rollout"),
        ({}, ["--device", "ws-0001", "--job", "a b"], "bad-job-id"),
    ],
)
def test_what_is_refused(
    moto: Moto, tmp_path: Path, capsys: pytest.CaptureFixture[str], made: dict[str, Any], arguments: list[str], code: str
) -> None:
    file = tmp_path / "set.bin"
    file.write_bytes(container(size=10, product="weather-station", **{"expires": int(time.time()) + 1000, **made}))
    assert run(["aws", "job", "create", str(file), *arguments, "--json"]) == 2
    assert told(capsys)["code"] == code and moto.requests() == []


def test_a_set_for_one_device_names_it(moto: Moto, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    things(moto, 1)
    assert run(["aws", "job", "create", str(signed(tmp_path, device="ws-0001")), "--json"]) == 0
    assert told(capsys)["devices"] == 1


def test_a_job_without_abort_and_time_out(moto: Moto, tmp_path: Path) -> None:
    things(moto, 1)
    options = ["--device", "ws-0001", "--abort-percent", "0", "--timeout", "0", "--per-minute", "7"]
    assert run(["aws", "job", "create", str(signed(tmp_path)), *options]) == 0
    made = moto.iot().describe_job(jobId="weather-station-2")["job"]
    assert made["jobExecutionsRolloutConfig"] == {"maximumPerMinute": 7}
    assert not made.get("abortConfig") and not made.get("timeoutConfig")


def test_the_index_by_command(moto: Moto, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    things(moto, 3)
    moto.fault("seen ws-0001 1767225600123 -")
    for changed in (True, False):
        assert run(["aws", "index", "prepare", "--json"]) == 0
        assert told(capsys)["changed"] is changed
    out = tmp_path / "reports.jsonl"
    assert run(["aws", "index", "reports", "--query", "thingName:ws-*", "--out", str(out), "--json"]) == 0
    found = told(capsys)
    assert (found["devices"], found["connected"], found["never"], found["health"]) == (3, 1, 2, 0)
    assert [json.loads(line)["device"] for line in out.read_text().splitlines()] == ["ws-0001", "ws-0002", "ws-0003"]
    assert run(["aws", "index", "reports", "--out", str(tmp_path / "no" / "where" / "x"), "--json"]) == 3
    assert told(capsys)["code"] == "cannot-write"


def test_packages_by_command(
    contract: Contract, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iot_api, "connect", lambda *_: contract.aws)
    contract.expect("get_package_version", VERSION, {**FOUND, "status": "PUBLISHED", "sbomValidationStatus": "FAILED"})
    asked = {**VERSION, "validationResult": "FAILED", "maxResults": 100}
    row = {"fileName": "sbom.json", "errorCode": "INCOMPATIBLE_FORMAT"}
    contract.expect("list_sbom_validation_results", asked, {"validationResultSummaries": [row]})
    assert run(["aws", "package", "status", "weather-station", "2", "--json"]) == 2
    found = told(capsys)
    assert found["code"] == "sbom-refused" and "sbom.json: INCOMPATIBLE_FORMAT" in found["message"] and found["arn"] == ARN
    contract.expect("update_package_configuration", {"versionUpdateByJobsConfig": {"enabled": True, "roleArn": ROLE}})
    assert run(["aws", "package", "track", "--role-arn", ROLE, "--json"]) == 0
    assert run(["aws", "package", "publish", str(tmp_path / "none"), "--bucket", BUCKET]) == 2
    assert "cannot be read" in capsys.readouterr().err
