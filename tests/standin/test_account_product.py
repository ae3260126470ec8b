"""The product's own commands against the account: `twinroot aws job | index | package`, which see what a device does meanwhile."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from provisioning import starter
from provisioning.aws import jobs as jobs_of_aws
from provisioning.cli.main import run
from provisioning.identity import factory
from provisioning.resources import folder
from provisioning.standin import StandIn, mqtt
from provisioning.standin.access import IN_THE_WAY
from provisioning.standin.account.packages import LARGEST_SBOM
from tests.aws.test_streams import container
from tests.standin.account import arn, client
from tests.standin.conftest import Client

ROLE = "arn:aws:iam::123456789012:role/streams"


@pytest.fixture
def twinroot(shared: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """A command with --json: (exit code, its object)."""
    for name in IN_THE_WAY:
        monkeypatch.delenv(name, raising=False)
    for name, value in shared.account.variables.items():
        monkeypatch.setenv(name, value)

    def command(*words: str) -> tuple[int, dict[str, Any]]:
        code = run([*words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return command


def signed(folder: Path, size: int, version: int = 2) -> Path:
    file = folder / "set.bin"
    file.write_bytes(container(size=size, version=version, product="weather-station", expires=int(time.time()) + 1000))
    return file


def test_a_job_from_the_command_to_its_end(shared: StandIn, twinroot: Any, tmp_path: Path) -> None:
    jobs = client(shared, "iot-jobs-data")
    names = ["prod-1", "prod-2", "prod-3"]
    for name in names:
        shared.issue(name)
    create = ["aws", "job", "create", str(signed(tmp_path, 900)), *(f"--device={name}" for name in names), "--per-minute", "2"]
    create += ["--abort-percent", "60", "--abort-minimum", "2"]
    for _ in range(2):
        code, made = twinroot(*create)
        assert (code, made["job"], made["devices"], made["carrier"]) == (0, "weather-station-2", 3, "parts")
    assert twinroot("aws", "job", "status", "weather-station-2")[1]["counts"]["QUEUED"] == 2
    jobs.update_job_execution(jobId="weather-station-2", thingName="prod-1", status="FAILED", statusDetails={"why": "expired"})
    shared.account.advance(60)
    assert twinroot("aws", "job", "status", "weather-station-2")[1]["counts"]["QUEUED"] == 2
    jobs.update_job_execution(jobId="weather-station-2", thingName="prod-2", status="FAILED", statusDetails={"why": "expired"})
    code, found = twinroot("aws", "job", "status", "weather-station-2", "--details")
    assert (code, found["state"]) == (1, "CANCELED"), "its abort rule has ended it"
    assert (found["counts"]["FAILED"], found["counts"]["CANCELED"]) == (2, 1)


def test_a_stream_and_a_version_in_the_catalog(shared: StandIn, twinroot: Any, tmp_path: Path) -> None:
    """The set goes to S3, a stream leads there, a job names the version; the device that succeeds has it in its shadow."""
    iot, data, jobs = (client(shared, name) for name in ("iot", "iot-data", "iot-jobs-data"))
    client(shared, "s3").create_bucket(Bucket="product-sets")
    shared.issue("prod-s")
    file = signed(tmp_path, 60_000, version=3)
    sbom = tmp_path / "sbom.json"
    sbom.write_text('{"bomFormat": "CycloneDX", "specVersion": "1.6"}')
    assert twinroot("aws", "package", "track", "--role-arn", ROLE)[0] == 0
    for _ in range(2):
        code, version = twinroot("aws", "package", "publish", str(file), "--sbom", str(sbom), "--bucket", "product-sets")
        assert code == 0, version
    stream = ["--bucket", "product-sets", "--role-arn", ROLE, "--package", "--job", "by-stream"]
    code, made = twinroot("aws", "job", "create", str(file), "--device", "prod-s", *stream)
    assert (code, made["carrier"]) == (0, "stream"), made
    document = json.loads(iot.get_job_document(jobId="by-stream")["document"])["twinroot"]
    files = iot.describe_stream(streamId=document["stream"])["streamInfo"]["files"]
    got = client(shared, "s3").get_object(Bucket="product-sets", Key=files[0]["s3Location"]["key"])["Body"].read()
    assert got == file.read_bytes()
    jobs.update_job_execution(jobId="by-stream", thingName="prod-s", status="SUCCEEDED")
    shadow = json.loads(data.get_thing_shadow(thingName="prod-s", shadowName="$package")["payload"].read())
    assert shadow["state"]["reported"]["weather-station"]["version"] == "3"


def test_what_is_no_bill_of_materials_is_not_sent(shared: StandIn, twinroot: Any, tmp_path: Path) -> None:
    s3, file = client(shared, "s3"), signed(tmp_path, 900, version=7)
    s3.create_bucket(Bucket="bills")
    publish = ["aws", "package", "publish", str(file), "--bucket", "bills", "--sbom"]
    (product := tmp_path / "pump.yaml").write_text("product: pump\n")
    (other := tmp_path / "other.json").write_text('{"bomFormat": "Cyclone"}')
    for wrong in (product, other):
        code, found = twinroot(*publish, str(wrong))
        assert (code, found["code"]) == (2, "not-a-sbom") and wrong.name in found["message"]
    name = f"twinroot/{hashlib.sha256(file.read_bytes()).hexdigest()}.bin"
    with pytest.raises(s3.exceptions.ClientError, match="404"):
        s3.head_object(Bucket="bills", Key=name)
    (large := tmp_path / "large.json").write_text(
        '{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": ' + " " * LARGEST_SBOM + "1}"
    )
    code, found = twinroot(*publish, str(large))
    assert (code, found["code"], found["sbom"], found["status"]) == (2, "sbom-refused", "FAILED", "PUBLISHED")
    assert "at most" in found["message"] and "twinroot sbom" in found["hint"]
    large.write_text('{"spdxVersion": "SPDX-2.3"}')
    assert twinroot(*publish, str(large))[0] == 0


def test_the_jobs_of_the_page_with_a_set_of_today(shared: StandIn, twinroot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each `job create` of docs/aws.md, as it stands there, with what `twinroot sign set` makes of the example."""
    page = (folder("firmware").parent / "docs" / "aws.md").read_text("utf-8")
    commands = re.findall(r"^    twinroot (aws job create .*)$", page, re.MULTILINE)
    assert len(commands) == 2
    made = starter.make(tmp_path / "product")
    monkeypatch.chdir(made.product.parent)
    monkeypatch.setenv("KEYPASS", "a passphrase of the bench")
    assert twinroot("sign", "new-key", "vendor.key.pem", "--passphrase-env", "KEYPASS")[0] == 0
    made.product.write_text(made.product.read_text() + "\nupdates: {key: vendor.pub.pem}\n")
    assert twinroot("render", "product.yaml", "--device", "ws-0001", "--out", "out")[0] == 0
    assert twinroot("sign", "set", "out", "--key", "vendor.key.pem", "--passphrase-env", "KEYPASS", "--out", "set.bin")[0] == 0
    code, found = twinroot("aws", "job", "create", "set.bin", "--product", "product.yaml")
    assert (code, found["code"]) == (2, "job-too-large") and "--bucket" in found["hint"]
    for device in ("ws-0001", "ws-0002"):
        shared.issue(device)
    client(shared, "s3").create_bucket(Bucket="updates-of-ours")
    assert twinroot("aws", "package", "publish", "set.bin", "--bucket", "updates-of-ours")[0] == 0
    for command in commands:
        code, found = twinroot(*shlex.split(command))
        assert (code, found["carrier"]) == (0, "stream"), found


def test_the_index_by_the_command(shared: StandIn, twinroot: Any, tmp_path: Path) -> None:
    out = tmp_path / "reports.jsonl"
    shared.issue("prod-i")
    assert twinroot("aws", "index", "prepare")[0] == 0
    health = {"s": 2, "l": "ats"}
    client(shared, "iot-data").update_thing_shadow(
        thingName="prod-i", shadowName="twinroot", payload=json.dumps({"state": {"reported": health}})
    )
    stream, _ = Client(shared, device="prod-i").mqtt()
    with stream:
        code, _ = twinroot("aws", "index", "reports", "--query", "connectivity.connected:true AND thingName:prod-*", "--out", str(out))
    assert code == 0
    (row,) = map(json.loads, out.read_text().splitlines())
    assert (row["device"], row["connected"], row["health"]) == ("prod-i", True, health)


def test_a_job_of_many_goes_to_a_group(shared: StandIn, twinroot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_of_aws, "TARGETS", 2)
    names = ["prod-g1", "prod-g2", "prod-g3"]
    for name in names:
        shared.issue(name)
    create = ["aws", "job", "create", str(signed(tmp_path, 900)), *(f"--device={name}" for name in names), "--job", "many"]
    assert twinroot(*create)[0] == 0
    job = client(shared, "iot").describe_job(jobId="many")["job"]
    assert job["targets"] == [arn("twinroot-many", "thinggroup")]
    assert twinroot("aws", "job", "status", "many")[1]["counts"]["QUEUED"] == 3


def test_devices_that_are_registered_connect(shared: StandIn, twinroot: Any, tmp_path: Path) -> None:
    """By the command, over TLS, at AWS's pace; then a device with the certificate that it got."""
    product, names = tmp_path / "product.yaml", [f"prod-r{n}" for n in range(1, 6)]
    product.write_text(
        "product: weather-station\nboard: esp32-generic\n"
        f"cloud: {{region: us-east-1, endpoint: {shared.route('ats')['endpoint']}}}\n"
        'identity: {certificate: "devices/{device}.crt.pem", key: "devices/{device}.key.pem"}\n'
    )
    (tmp_path / "devices.csv").write_text("device\n" + "\n".join(names))
    for done in (["thing", "certificate", "policy", "attached"], []):
        code, found = twinroot("aws", "register", str(product), "--devices", str(tmp_path / "devices.csv"))
        assert code == 0 and [row["done"] for row in found["devices"]] == [done] * 5, found
    own = tmp_path / "devices" / "prod-r3.crt.pem", tmp_path / "devices" / "prod-r3.key.pem"
    with Client(shared, device=None, tune=lambda context: context.load_cert_chain(*own)).connect() as stream:
        stream.sendall(mqtt.connect("prod-r3"))
        assert stream.recv(64) == mqtt.connack(0)


def test_what_the_stand_in_has_not_is_asked_for_once(shared: StandIn, twinroot: Any, tmp_path: Path) -> None:
    """No pause, no second try, and nothing about a lower rate: it will not have it later either. docs/aws.md names these commands."""
    endpoint, product = shared.route("ats")["endpoint"], tmp_path / "product.yaml"
    factory.make_ca("Bench CA", tmp_path / "f")
    product.write_text(
        f"product: lacking\nboard: esp32-generic\ncloud: {{region: us-east-1, endpoint: {endpoint}}}\n"
        'identity: {certificate: "{device}.crt.pem", key: "{device}.key.pem", issue: {ca: f/ca.crt.pem, ca_key: f/ca.key.pem}}\n'
    )
    assert twinroot("identity", "make", str(product), "--device", "ws-1")[0] == 0
    before = (tmp_path / "ws-1.crt.pem").read_bytes()
    lacking = {"DescribeCACertificate": 4, "DescribeProvisioningTemplate": 1}
    for words in (
        ["register-ca", "--role-arn", ROLE],
        ["jitp", "check"],
        ["jitp", "prepare", "--role-arn", ROLE],
        ["claim", "prepare", "--role-arn", ROLE],
        ["register", "--device", "ws-1"],
    ):
        code, found = twinroot("aws", *words, str(product))
        assert (code, found["code"]) == (3, "not-at-endpoint") and "has no operation" in found["message"], found
    assert (tmp_path / "ws-1.crt.pem").read_bytes() == before
    for words in (["register-ca"], ["jitp", "check"], ["jitp", "prepare"], ["claim", "prepare"]):
        code, found = twinroot("aws", *words, str(product), "--role-arn", "arn:aws:iam::1234:role/x")
        assert (code, found["code"]) == (2, "bad-role")
    seen = len(shared.requests())
    client(shared, "iot").list_jobs(maxResults=1)
    shared.wait_request(operation="ListJobs", after=seen)  # behind all of these
    assert Counter(event["operation"] for event in shared.requests() if event["operation"] in lacking) == lacking
