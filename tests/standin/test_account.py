"""The control plane of the stand-in's account, driven by boto3: signatures, errors, rates, state, S3."""

from __future__ import annotations

import configparser
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.errors import InputError
from provisioning.standin import StandIn
from tests.standin.account import arn, client, code

boto = pytest.importorskip("botocore.exceptions", reason="the extra aws is not installed")


@pytest.fixture
def iot(shared: StandIn) -> Any:
    return client(shared, "iot")


def test_things_and_groups(shared: StandIn, iot: Any) -> None:
    made = iot.create_thing(thingName="a:1", attributePayload={"attributes": {"site": "north"}})
    assert made["thingArn"] == arn("a:1")
    assert iot.create_thing(thingName="a:1", attributePayload={"attributes": {"site": "north"}})["thingId"] == made["thingId"]
    with pytest.raises(iot.exceptions.ResourceAlreadyExistsException) as exists:
        iot.create_thing(thingName="a:1")
    assert exists.value.response["resourceArn"] == arn("a:1")
    iot.update_thing(thingName="a:1", attributePayload={"attributes": {"floor": "2", "site": ""}, "merge": True}, expectedVersion=1)
    with pytest.raises(iot.exceptions.VersionConflictException):
        iot.update_thing(thingName="a:1", expectedVersion=1)
    thing = iot.describe_thing(thingName="a:1")
    assert (thing["attributes"], thing["version"]) == ({"floor": "2"}, 2)
    iot.create_thing_group(thingGroupName="floor-2", thingGroupProperties={"thingGroupDescription": "upstairs"})
    iot.add_thing_to_thing_group(thingGroupArn=arn("floor-2", "thinggroup"), thingName="a:1")
    assert iot.list_things_in_thing_group(thingGroupName="floor-2")["things"] == ["a:1"]
    assert [group["groupName"] for group in iot.list_thing_groups_for_thing(thingName="a:1")["thingGroups"]] == ["floor-2"]
    assert iot.describe_thing_group(thingGroupName="floor-2")["thingGroupProperties"] == {"thingGroupDescription": "upstairs"}
    iot.remove_thing_from_thing_group(thingGroupName="floor-2", thingName="a:1")
    iot.delete_thing_group(thingGroupName="floor-2")
    iot.delete_thing(thingName="a:1")
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_thing(thingName="a:1")


def test_what_the_stand_in_issued_is_registered(shared: StandIn, iot: Any) -> None:
    shared.issue("issued-1")
    assert iot.describe_thing(thingName="issued-1")["attributes"] == {}
    (principal,) = iot.list_thing_principals(thingName="issued-1")["principals"]
    assert principal.startswith(arn("", "cert"))
    assert iot.list_principal_things(principal=principal)["things"] == ["issued-1"]
    with pytest.raises(iot.exceptions.InvalidRequestException):
        iot.delete_thing(thingName="issued-1")
    iot.detach_thing_principal(thingName="issued-1", principal=principal)
    iot.delete_thing(thingName="issued-1")


def test_lists_come_in_pages(shared: StandIn, iot: Any) -> None:
    iot.create_thing_group(thingGroupName="many")
    names = [f"many-{number}" for number in range(7)]
    for name in names:
        iot.create_thing(thingName=name)
        iot.add_thing_to_thing_group(thingGroupName="many", thingName=name)
    pages = list(iot.get_paginator("list_things_in_thing_group").paginate(thingGroupName="many", PaginationConfig={"PageSize": 3}))
    assert [page["things"] for page in pages] == [names[:3], names[3:6], names[6:]]
    iot.create_job(jobId="paged", targets=[arn("many", "thinggroup")], document="{}")
    iot.cancel_job_execution(jobId="paged", thingName="many-4")
    pages = list(
        iot.get_paginator("list_job_executions_for_job").paginate(jobId="paged", status="QUEUED", PaginationConfig={"PageSize": 4})
    )
    assert [len(page["executionSummaries"]) for page in pages] == [4, 2]
    (row,) = iot.list_job_executions_for_job(jobId="paged", status="CANCELED")["executionSummaries"]
    assert row["thingArn"] == arn("many-4")
    with pytest.raises(iot.exceptions.InvalidRequestException):
        iot.list_jobs(nextToken="x")
    iot.delete_job(jobId="paged", force=True)


def test_the_life_of_a_job(shared: StandIn, iot: Any) -> None:
    for name in ("life-1", "life-2"):
        iot.create_thing(thingName=name)
    document = json.dumps({"twinroot": {"version": 2, "parts": ["x" * 30000]}})
    rollout = {"maximumPerMinute": 1}
    iot.create_job(jobId="life", targets=[arn("life-1"), arn("life-2")], document=document, jobExecutionsRolloutConfig=rollout)
    job = iot.describe_job(jobId="life")["job"]
    assert (job["status"], job["targetSelection"], job["jobExecutionsRolloutConfig"]) == ("IN_PROGRESS", "SNAPSHOT", rollout)
    assert (job["jobProcessDetails"]["numberOfQueuedThings"], job["jobProcessDetails"]["processingTargets"]) == (1, job["targets"])
    shared.account.advance(60)
    details = iot.describe_job(jobId="life")["job"]["jobProcessDetails"]
    assert details["numberOfQueuedThings"] == 2 and "processingTargets" not in details
    assert iot.get_job_document(jobId="life")["document"] == document
    assert iot.list_jobs(status="IN_PROGRESS")["jobs"][0]["jobId"] == "life"
    with pytest.raises(iot.exceptions.InvalidStateTransitionException):
        iot.delete_job(jobId="life")
    iot.cancel_job(jobId="life", reasonCode="OVER", comment="enough", force=True)
    job = iot.describe_job(jobId="life")["job"]
    assert [job[key] for key in ("status", "reasonCode", "comment", "forceCanceled")] == ["CANCELED", "OVER", "enough", True]
    assert job["jobProcessDetails"]["numberOfCanceledThings"] == 2
    iot.delete_job(jobId="life")
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_job(jobId="life")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"targets": [arn("nobody")]}, ("ResourceNotFoundException", 404)),
        ({"targets": ["arn:aws:iot:us-east-1:999999999999:thing/life-1"]}, ("InvalidRequestException", 400)),
        ({"targets": ["life-1"]}, ("InvalidRequestException", 400)),
        ({"document": "{"}, ("InvalidRequestException", 400)),
        ({"document": " " * 32769}, ("InvalidRequestException", 400)),
        ({"jobId": "x" * 65}, ("InvalidRequestException", 400)),
        ({"targetSelection": "SOME"}, ("InvalidRequestException", 400)),
        ({"timeoutConfig": {"inProgressTimeoutInMinutes": 10081}}, ("InvalidRequestException", 400)),
        ({"jobExecutionsRolloutConfig": {"maximumPerMinute": 1001}}, ("InvalidRequestException", 400)),
        ({"document": '{"u": "${aws:iot:s3-presigned-url:https://x}"}'}, ("NotImplemented", 501)),
        ({"schedulingConfig": {"startTime": "2027-01-01 10:00"}}, ("NotImplemented", 501)),
    ],
)
def test_jobs_that_aws_would_not_take(shared: StandIn, iot: Any, change: dict[str, Any], expected: tuple[str, int]) -> None:
    iot.create_thing(thingName="wrong-1")
    given = {"jobId": "wrong", "targets": [arn("wrong-1")], "document": "{}", **change}
    with pytest.raises(boto.ClientError) as refused:
        iot.create_job(**given)
    assert code(refused) == expected
    assert "wrong" not in [job["jobId"] for job in iot.list_jobs()["jobs"]]


def test_an_operation_that_is_not_there_says_so_and_is_an_event(shared: StandIn, iot: Any) -> None:
    with pytest.raises(boto.ClientError) as none:
        iot.list_topic_rules()
    assert code(none) == ("NotImplemented", 501)
    assert "ListTopicRules" in str(none.value)
    assert shared.wait_request(operation="ListTopicRules")["status"] == 501
    with pytest.raises(boto.ClientError) as other:
        client_of_another_service(shared)
    assert code(other) == ("NotImplemented", 501)


def client_of_another_service(cloud: StandIn) -> Any:
    return client(cloud, "lambda").list_functions()


@pytest.mark.parametrize(
    ("key", "secret", "expected"),
    [
        (None, "another secret of the same length as it is", "InvalidSignatureException"),
        ("AKIAAAAAAAAAAAAAAAAA", None, "UnrecognizedClientException"),
    ],
)
def test_a_wrong_key_is_refused(shared: StandIn, key: str | None, secret: str | None, expected: str) -> None:
    parser = configparser.ConfigParser()
    parser.read(shared.account.credentials)
    right = parser["default"]
    options = {
        "aws_access_key_id": key or right["aws_access_key_id"],
        "aws_secret_access_key": secret or right["aws_secret_access_key"],
    }
    with pytest.raises(boto.ClientError) as refused:
        client(shared, "iot", **options).list_things()
    assert code(refused) == (expected, 403)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda request: request.headers.pop("Authorization"), "MissingAuthenticationTokenException"),
        (lambda request: request.headers.update(Authorization="Basic eDp5"), "IncompleteSignatureException"),
        (lambda request: setattr(request, "url", request.url.replace("tampered-1", "tampered-2")), "InvalidSignatureException"),
        (lambda request: setattr(request, "body", b"[]"), "InvalidSignatureException"),
        (lambda request: request.headers.update({"X-Amz-Date": "20200101T000000Z"}), "InvalidSignatureException"),
    ],
)
def test_what_was_changed_after_signing_is_refused(shared: StandIn, damage: Any, expected: str) -> None:
    iot = client(shared, "iot", region_name="us-east-1")  # of its own: the others are not to be tampered with

    def tamper(request: Any, **_: Any) -> None:
        damage(request)

    iot.meta.events.register("before-send.iot.CreateThing", tamper)
    with pytest.raises(boto.ClientError) as refused:
        iot.create_thing(thingName="tampered-1")
    assert code(refused) == (expected, 403)
    assert not [each for each in iot.list_things(maxResults=250)["things"] if each["thingName"].startswith("tampered")]


def test_only_over_tls_by_its_own_ca(shared: StandIn) -> None:
    account = shared.account
    with pytest.raises(boto.SSLError):
        client(shared, "iot", verify=str(shared.roots["StandInATS"])).list_things()
    with pytest.raises((boto.ConnectionClosedError, boto.EndpointConnectionError)):
        client(shared, "iot", endpoint_url=account.url.replace("https", "http")).list_things()


def test_what_comes_faster_than_its_rate_is_throttled(shared: StandIn, iot: Any) -> None:
    shared.account.limit("DescribeThing", 2)
    iot.create_thing(thingName="rate-1")
    try:
        answers = []
        for _ in range(6):
            try:
                iot.describe_thing(thingName="rate-1")
                answers.append("")
            except iot.exceptions.ThrottlingException as throttled:
                answers.append(throttled.response["Error"]["Code"])
        assert answers[:2] == ["", ""] and answers.count("ThrottlingException") >= 3
        assert iot.list_things()["things"], "other operations have their own rate"
    finally:
        shared.account.limit("DescribeThing", 0)
    iot.describe_thing(thingName="rate-1")


def test_twinroot_aws_paces_itself_below_a_rate(shared: StandIn, iot: Any) -> None:
    """The client of the product against the rate of the stand-in, with waits that are counted and not waited."""
    from provisioning.aws.iot_api import Aws

    waited: list[float] = []
    shared.account.limit("CreateThing", 2)
    try:
        aws = Aws(iot, "us-east-1", rate=0, sleep=lambda seconds: (waited.append(seconds), shared.account.limit("CreateThing", 2))[0])
        for number in range(5):
            aws.call("create_thing", thingName=f"paced-{number}")
    finally:
        shared.account.limit("CreateThing", 0)
    assert waited and aws.requests == 5 + len(waited)


def test_objects(shared: StandIn, iot: Any) -> None:
    s3 = client(shared, "s3")
    with pytest.raises(boto.ClientError) as none:
        s3.put_object(Bucket="none-yet", Key="k", Body=b"")
    assert code(none) == ("NoSuchBucket", 404)
    s3.create_bucket(Bucket="sets")
    first = s3.put_object(Bucket="sets", Key="../../ü 1%2F.bin", Body=b"one")
    second = s3.put_object(Bucket="sets", Key="../../ü 1%2F.bin", Body=os.urandom(300_000))
    assert first["VersionId"] != second["VersionId"]
    got = s3.get_object(Bucket="sets", Key="../../ü 1%2F.bin", VersionId=first["VersionId"])
    assert got["Body"].read() == b"one"
    assert s3.head_object(Bucket="sets", Key="../../ü 1%2F.bin")["ContentLength"] == 300_000
    s3.put_object(Bucket="sets", Key="job.json", Body=b'{"twinroot": {"version": 3}}')
    iot.create_thing(thingName="s3-1")
    iot.create_job(jobId="s3", targets=[arn("s3-1")], documentSource="https://s3.us-east-1.amazonaws.com/sets/job.json")
    assert iot.get_job_document(jobId="s3")["document"] == '{"twinroot": {"version": 3}}'
    s3.delete_object(Bucket="sets", Key="job.json")
    with pytest.raises(boto.ClientError):
        s3.head_object(Bucket="sets", Key="job.json")
    folder = Path(shared.info["state"])
    assert all(path.parent.name == "s3" for path in folder.rglob("*") if path.is_file() and path.stat().st_size == 300_000)


def test_a_shell_is_led_to_it(shared: StandIn, tmp_path: Path) -> None:
    """As docs/cloud.md has it: `. lab/account.env`, then the product's own command, whatever keys the shell had before."""
    script = f". {shared.info['state']}/account.env && {sys.executable} -m provisioning aws endpoint --json"
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "AKIAOFSOMEBODYELSE00", "AWS_SECRET_ACCESS_KEY": "x" * 40}
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert shared.route("ats")["endpoint"] in done.stdout and shared.route("legacy")["endpoint"] in done.stdout


@pytest.fixture
def printed(tmp_path: Path) -> Iterator[dict[str, Any]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "provisioning", "cloud", "--json", "--state", str(tmp_path), "--broker", "amqtt", "--issue", "ws-0001"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())
    process.terminate()
    process.communicate(timeout=15)


def test_a_rate_that_is_not_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a rate of an operation") as wrong, StandIn(tmp_path, limits={"CreateJob=": 1}):
        pass
    assert wrong.value.code == "cloud-limit"


def test_the_secret_key_is_in_its_file_alone(printed: dict[str, Any], tmp_path: Path) -> None:
    path = Path(printed["account"]["credentials"])
    parser = configparser.ConfigParser()
    parser.read(path)
    secret = parser["default"]["aws_secret_access_key"]
    assert len(secret) == 40 and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert parser["default"]["aws_access_key_id"] == printed["account"]["access_key_id"]
    holding = [each for each in tmp_path.rglob("*") if each.is_file() and secret.encode() in each.read_bytes()]
    assert holding == [path]
    assert secret not in json.dumps(printed)


def test_a_restart_has_the_same_account(tmp_path: Path) -> None:
    with StandIn(tmp_path, broker="amqtt") as first:
        iot = client(first, "iot")
        first.issue("ws-0001")
        iot.create_job(jobId="stays", targets=[arn("ws-0001")], document="{}")
        was = (first.account.url, first.account.access_key_id, iot.describe_job(jobId="stays")["job"])
    with StandIn(tmp_path, broker="amqtt") as second:
        iot = client(second, "iot")
        assert (second.account.url, second.account.access_key_id, iot.describe_job(jobId="stays")["job"]) == was


WITHOUT = """
import sys, importlib.abc
class No(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("boto3", "botocore"):
            raise ModuleNotFoundError(name)
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "botocore" else found(name, package)
sys.meta_path.insert(0, No())
from provisioning.standin.process import main
sys.exit(main())
"""


def test_without_boto3_it_is_the_stand_in_of_before(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WITHOUT, "--state", str(tmp_path), "--broker", "amqtt"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout and process.stdin
    ready = json.loads(process.stdout.readline())
    assert (ready["event"], ready["account"]) == ("ready", None)
    process.stdin.write('{"id": 1, "do": "advance", "seconds": 1}\n')
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["error"]["code"] == "cloud-no-account"
    process.communicate(timeout=15)
    assert process.returncode == 0
