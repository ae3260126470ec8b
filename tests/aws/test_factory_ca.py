"""`twinroot aws register-ca`: the proof that AWS wants, once, and a template that makes what a device needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provisioning.aws.factory_ca import template
from provisioning.cli.main import run
from provisioning.identity.factory import make_ca
from tests.aws.conftest import Moto

ROLE = "arn:aws:iam::123456789012:role/jitp"


@pytest.fixture
def ca(tmp_path: Path) -> list[str]:
    certificate, key = make_ca("Factory CA", tmp_path / "factory")
    return ["--ca", str(certificate), "--ca-key", str(key)]


def register(product: Path, *arguments: str) -> int:
    return run(["aws", "register-ca", str(product), "--role-arn", ROLE, "--region", "us-east-1", "--json", *arguments])


def test_a_ca_is_registered_once_with_its_proof(moto: Moto, product: Path, ca: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert register(product, *ca, "--dry-run") == 0
    assert json.loads(capsys.readouterr().out)["arn"] is None and not moto.requests("RegisterCACertificate", "CreatePolicy")
    assert register(product, *ca) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["registered"] is True and first["policy"] == "twinroot-weather-station"
    found = moto.iot().describe_ca_certificate(certificateId=first["id"])
    assert found["certificateDescription"]["status"] == "ACTIVE"
    assert found["registrationConfig"]["roleArn"] == ROLE
    body = json.loads(found["registrationConfig"]["templateBody"])
    assert body["Resources"]["policy"]["Properties"]["PolicyName"] == "twinroot-weather-station"
    assert register(product, *ca) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["registered"], again["id"]) == (False, first["id"])
    assert len(moto.requests("RegisterCACertificate")) == 1


def test_the_ca_of_the_product_is_used_when_none_is_named(
    moto: Moto, product: Path, ca: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = product.read_text().replace('.key.pem"}', '.key.pem", issue: {ca: factory/ca.crt.pem, ca_key: factory/ca.key.pem}}')
    product.write_text(text)
    assert register(product) == 0
    assert json.loads(capsys.readouterr().out)["registered"] is True


def test_a_dry_run_needs_no_credentials(
    moto: Moto, product: Path, ca: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert register(product, *ca, "--dry-run") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["arn"], said["registered"], len(said["id"])) == (None, False, 64)
    assert moto.requests() == []


def test_what_is_no_ca_and_its_key_is_refused_ahead_of_any_request(
    moto: Moto, product: Path, ca: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*arguments: str) -> dict[str, Any]:
        assert register(product, *arguments) == 2
        report: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert report["hint"]
        return report

    _, other = make_ca("Other CA", tmp_path / "other")
    assert refused()["code"] == "no-ca"
    assert refused(*ca[:2])["code"] == "bad-arguments"
    assert refused(*ca[:3], str(other))["code"] == "ca-key-mismatch"
    assert refused("--ca", str(product), *ca[2:])["code"] == "bad-pem"
    assert moto.requests() == []


def test_the_template_names_the_thing_after_the_certificate() -> None:
    made = template("p", prefix="line1-")
    name = made["Resources"]["thing"]["Properties"]["ThingName"]
    assert name == {"Fn::Join": ["", ["line1-", {"Ref": "AWS::IoT::Certificate::CommonName"}]]}
    assert made["Resources"]["certificate"]["Properties"]["Status"] == "ACTIVE"
    assert template("p")["Resources"]["thing"]["Properties"]["ThingName"] == {"Ref": "AWS::IoT::Certificate::CommonName"}
