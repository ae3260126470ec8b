"""docs/aws.md against the sources: every operation that is sent is in its table, with the quota that pace.py has."""

from __future__ import annotations

import re

import boto3
import pytest
from moto.iam.responses import IamResponse
from moto.iot.responses import IoTResponse
from moto.s3.responses import S3Response

from provisioning.aws import pace
from provisioning.resources import folder

ROOT = folder("firmware").parent
SENT = re.compile(r"\.(?:call|pages)\(\s*\"(\w+)\"")
ROW = re.compile(r"^\| ([A-Z][\w, ]+) \| ([\d,]+) \| (moto|contract) \|", re.MULTILINE)


@pytest.fixture(scope="module")
def names() -> dict[str, str]:
    """As AWS spells an operation -> as boto3 does."""
    clients = [boto3.client(service, region_name="us-east-1") for service in ("iot", "s3", "iam")]
    return {api: method for client in clients for method, api in client.meta.method_to_api_mapping.items()}


def rows() -> dict[str, tuple[float, str]]:
    page = (ROOT / "docs" / "aws.md").read_text("utf-8")
    return {name: (float(quota.replace(",", "")), on) for group, quota, on in ROW.findall(page) for name in group.split(", ")}


def test_every_operation_that_is_sent_is_in_the_table(names: dict[str, str]) -> None:
    sources = [file.read_text("utf-8") for file in (ROOT / "provisioning" / "aws").glob("*.py")]
    sent = {operation for text in sources for operation in SENT.findall(text)}
    assert {names[name] for name in rows()} == sent and len(sent) > 30


def test_the_quotas_are_those_of_the_pace(names: dict[str, str]) -> None:
    for name, (quota, _) in rows().items():
        assert quota == pace.QUOTAS.get(names[name], pace.OTHERS), name
    assert set(pace.QUOTAS) <= {names[name] for name in rows()}


def test_what_is_said_to_be_tried_on_moto_is_there(names: dict[str, str]) -> None:
    for name, (_, on) in rows().items():
        has = any(hasattr(response, names[name]) for response in (IoTResponse, S3Response, IamResponse))
        assert has == (on == "moto"), name
