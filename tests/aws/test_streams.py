"""A signed set in S3 and in a stream: put there once, and never taken for another."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from typing import Any

import pytest

from provisioning.aws import objects, streams
from provisioning.aws.iot_api import Aws
from provisioning.errors import InputError, StationError
from provisioning.ota import job_document
from provisioning.ota.signed_set import MAGIC
from tests.aws.conftest import Moto
from tests.support.aws_contract import Contract

BUCKET = "updates-of-a-product"
ROLE = "arn:aws:iam::123456789012:role/iot-reads-updates"


def container(size: int = 50_000, **other: Any) -> bytes:
    """A signed set as far as this computer reads one."""
    made = {"product": "weather station", "version": 2, "device": None, "expires": 1, "files": [["a", size, "0"]]}
    manifest = json.dumps({**made, **other}).encode()
    return MAGIC + struct.pack("!H", 4) + b"sign" + struct.pack("!I", len(manifest)) + manifest + bytes(size)


SET = container()
DIGEST = hashlib.sha256(SET)
KEY = f"twinroot/{DIGEST.hexdigest()}.bin"
NAME = f"weather-station-2-{DIGEST.hexdigest()[:12]}"
CHECKSUM = base64.b64encode(DIGEST.digest()).decode()


@pytest.fixture
def bucket(moto: Moto) -> str:
    moto.iot("s3").create_bucket(Bucket=BUCKET)
    return BUCKET


def test_a_set_is_put_into_s3_once(moto: Moto, aws: Aws, bucket: str) -> None:
    put = objects.put(aws, bucket, SET, ".bin")
    assert put.location == {"bucket": bucket, "key": KEY}
    before = aws.requests
    assert objects.put(aws, bucket, SET, ".bin") == put and aws.requests == before + 1
    assert moto.iot("s3").get_object(Bucket=bucket, Key=KEY)["Body"].read() == SET
    assert moto.iot("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 1


def test_an_object_that_is_not_what_its_name_says_is_not_used(moto: Moto, aws: Aws, bucket: str, contract: Contract) -> None:
    moto.iot("s3").put_object(Bucket=bucket, Key=KEY, Body=b"x")
    contract.expect("head_object", HEAD, {"ContentLength": len(SET), "ChecksumSHA256": CHECKSUM.swapcase()}, service="s3")
    for account in (aws, contract.aws):
        with pytest.raises(InputError) as error:
            objects.put(account, bucket, SET, ".bin")
        assert error.value.code == "exists-differently"


def test_no_bucket(moto: Moto, aws: Aws) -> None:
    for name in ("no-such-bucket-anywhere", "Not A Bucket", "a"):
        with pytest.raises(InputError) as error:
            objects.put(aws, name, SET, ".bin")
        assert error.value.code == "no-bucket"


HEAD = {"Bucket": BUCKET, "Key": KEY, "ChecksumMode": "ENABLED"}
PUT = {
    "Bucket": BUCKET,
    "Key": KEY,
    "Body": SET,
    "ContentType": "application/octet-stream",
    "ChecksumSHA256": CHECKSUM,
    "IfNoneMatch": "*",
}
FILES = [{"fileId": 1, "s3Location": {"bucket": BUCKET, "key": KEY}}]
INFO = {"streamId": NAME, "streamVersion": 1, "files": FILES, "roleArn": ROLE}


def has_the_object(contract: Contract) -> None:
    contract.expect("head_object", HEAD, {"ContentLength": len(SET), "ChecksumSHA256": CHECKSUM}, service="s3")


def test_a_stream_is_made_with_its_object(contract: Contract) -> None:
    contract.refuse("head_object", HEAD, "404", 404, service="s3")
    contract.expect("put_object", PUT, {"ETag": "x", "ChecksumSHA256": CHECKSUM}, service="s3")
    contract.refuse("describe_stream", {"streamId": NAME}, "ResourceNotFoundException", 404)
    made = {"streamId": NAME, "description": f"twinroot {NAME}", "files": FILES, "roleArn": ROLE}
    contract.expect("create_stream", made, {"streamId": NAME, "streamArn": "arn:aws:iot:us-east-1:1:stream/x", "streamVersion": 1})
    assert streams.create(contract.aws, SET, BUCKET, ROLE) == NAME
    has_the_object(contract)
    contract.expect("describe_stream", {"streamId": NAME}, {"streamInfo": INFO})
    assert streams.create(contract.aws, SET, BUCKET, ROLE) == NAME


def test_a_stream_that_another_computer_made_meanwhile(contract: Contract) -> None:
    contract.refuse("head_object", HEAD, "403", 403, service="s3")  # who may not list is not told that it is not there
    contract.refuse("put_object", PUT, "PreconditionFailed", 412, service="s3")
    contract.refuse("head_object", HEAD, "403", 403, service="s3")
    contract.refuse("describe_stream", {"streamId": NAME}, "ResourceNotFoundException", 404)
    made = {"streamId": NAME, "description": f"twinroot {NAME}", "files": FILES, "roleArn": ROLE}
    contract.refuse("create_stream", made, "ResourceAlreadyExistsException", 409)
    contract.expect("describe_stream", {"streamId": NAME}, {"streamInfo": INFO})
    assert streams.create(contract.aws, SET, BUCKET, ROLE) == NAME


@pytest.mark.parametrize(
    ("other", "word"), [({"roleArn": ROLE + "2"}, "role"), ({"files": [{**FILES[0], "fileId": 2}]}, "file"), ({"files": FILES * 2}, "file")]
)
def test_another_stream_of_that_name(contract: Contract, other: dict[str, Any], word: str) -> None:
    has_the_object(contract)
    contract.expect("describe_stream", {"streamId": NAME}, {"streamInfo": {**INFO, **other}})
    with pytest.raises(InputError, match=f"with another {word}"):
        streams.create(contract.aws, SET, BUCKET, ROLE)


def test_what_a_stream_is_refused_for_before_aws_is_asked(contract: Contract) -> None:
    for arn in ("iot-reads-updates", "arn:aws:iam::1:role/x", "arn:aws:iam::123456789012:user/x"):
        with pytest.raises(InputError) as error:
            streams.create(contract.aws, SET, BUCKET, arn)
        assert error.value.code == "bad-role"
    with pytest.raises(InputError) as large:
        streams.create(contract.aws, SET + bytes(streams.SIZE_LIMIT), BUCKET, ROLE)
    assert large.value.code == "set-too-large"


def test_no_permission_names_what_to_allow(contract: Contract) -> None:
    contract.refuse("head_object", HEAD, "403", 403, service="s3")
    contract.refuse("put_object", PUT, "AccessDenied", 403, service="s3")
    with pytest.raises(StationError) as error:
        streams.create(contract.aws, SET, BUCKET, ROLE)
    assert error.value.code == "no-permission" and "s3:PutObject" in error.value.hint


def test_the_document_of_a_stream() -> None:
    made = json.loads(job_document.document(SET, stream=NAME))
    assert made == {"twinroot": {"version": 2, "stream": NAME, "file": 1, "size": len(SET)}}
    for wrong in ({"stream": "a/b"}, {"stream": ""}, {"stream": NAME, "topic": "updates/2"}):
        with pytest.raises(InputError) as error:
            job_document.document(SET, **wrong)  # type: ignore[arg-type]
        assert error.value.code == "bad-stream"
