"""`twinroot aws jitp`: everything that AWS needs for just-in-time provisioning, against AWS's model of the service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import ANY

from provisioning.aws import factory_ca, jitp
from provisioning.aws.topics import policy_document
from provisioning.cli.main import run
from provisioning.identity.factory import make_ca
from provisioning.identity.signer import Authority, from_files
from tests.aws.conftest import Moto
from tests.support.aws_contract import Contract

ROLE = "arn:aws:iam::123456789012:role/jitp"
POLICY = "twinroot-weather-station"
TRUST = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"}, "Action": "sts:AssumeRole"}]}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return make_ca("Factory CA", tmp_path / "factory")


@pytest.fixture
def ca(files: tuple[Path, Path]) -> Authority:
    return from_files(*files)


def answer(ca: Authority, status: str = "ACTIVE", automatic: str = "ENABLE", **config: str) -> dict[str, Any]:
    number = jitp._id(ca)
    made: dict[str, Any] = {"certificateId": number, "status": status, "autoRegistrationStatus": automatic}
    made["certificateArn"] = f"arn:aws:iot:us-east-1:123456789012:cacert/{number}"
    return {"certificateDescription": made, "registrationConfig": config}


def whole(ca: Authority) -> dict[str, Any]:
    return answer(ca, templateBody=json.dumps(factory_ca.template(POLICY)), roleArn=ROLE)


def role(contract: Contract, trust: dict[str, Any] = TRUST, policies: tuple[str, ...] = (jitp.PERMISSIONS,)) -> None:
    made = {"Path": "/", "RoleName": "jitp", "RoleId": "AROAEXAMPLEEXAMPLE12", "Arn": ROLE, "CreateDate": 0}
    contract.expect("get_role", {"RoleName": "jitp"}, {"Role": {**made, "AssumeRolePolicyDocument": json.dumps(trust)}}, service="iam")
    rows = [{"PolicyName": name, "PolicyArn": f"arn:aws:iam::aws:policy/service-role/{name}"} for name in policies]
    contract.expect("list_attached_role_policies", {"RoleName": "jitp"}, {"AttachedPolicies": rows}, service="iam")


def policy(contract: Contract) -> None:
    document = json.dumps(policy_document("us-east-1", "aws"))
    contract.expect("get_policy", {"policyName": POLICY}, {"policyName": POLICY, "policyDocument": document})


def states(contract: Contract, ca: Authority) -> dict[str, str]:
    return {finding.subject: finding.state for finding in jitp.check(contract.aws, ca, POLICY, ROLE)}


OK = dict.fromkeys(("CA", "automatic registration", "template", "policy", "role"), "ok")


def described(contract: Contract, ca: Authority, found: dict[str, Any]) -> None:
    contract.expect("describe_ca_certificate", {"certificateId": jitp._id(ca)}, found)


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({}, []),
        ({"status": "INACTIVE"}, ["CA"]),
        ({"automatic": "DISABLE"}, ["automatic registration"]),
        ({"templateBody": "{}"}, ["template"]),
        ({"roleArn": ROLE + "-2"}, ["template"]),
    ],
)
def test_what_is_missing_is_said_and_put_right(contract: Contract, ca: Authority, change: dict[str, Any], missing: list[str]) -> None:
    body = json.dumps(factory_ca.template(POLICY))
    found = answer(ca, **{"templateBody": body, "roleArn": ROLE, **change})
    described(contract, ca, found)
    policy(contract)
    role(contract)
    assert states(contract, ca) == {**OK, **dict.fromkeys(missing, "missing")}
    described(contract, ca, found)
    wanted = {
        "CA": {"newStatus": "ACTIVE"},
        "automatic registration": {"newAutoRegistrationStatus": "ENABLE"},
        "template": {"registrationConfig": {"templateBody": body, "roleArn": ROLE}},
    }
    for name in missing:
        contract.expect("update_ca_certificate", {"certificateId": jitp._id(ca), **wanted[name]})
    assert len(jitp.prepare(contract.aws, ca, POLICY, ROLE)) == len(missing)


def test_a_template_by_name(contract: Contract, ca: Authority) -> None:
    made = {"templateName": "line", "templateBody": json.dumps(factory_ca.template(POLICY)), "enabled": True, "provisioningRoleArn": ROLE}
    for kind, state in (("JITP", "ok"), ("FLEET_PROVISIONING", "missing")):
        described(contract, ca, answer(ca, templateName="line"))
        contract.expect("describe_provisioning_template", {"templateName": "line"}, {**made, "type": kind})
        policy(contract)
        role(contract)
        assert states(contract, ca) == {**OK, "template": state}


def test_a_role_that_aws_cannot_take_or_nobody_may_look_at(contract: Contract, ca: Authority) -> None:
    other = {"Statement": {"Effect": "Allow", "Principal": {"Service": ["lambda.amazonaws.com"]}, "Action": "sts:AssumeRole"}}
    for trust, policies, state in ((other, (jitp.PERMISSIONS,), "missing"), (TRUST, ("mine",), "unknown")):
        described(contract, ca, whole(ca))
        policy(contract)
        role(contract, trust, policies)
        assert states(contract, ca) == {**OK, "role": state}
    for code, status, state in (("NoSuchEntity", 404, "missing"), ("AccessDenied", 403, "unknown")):
        described(contract, ca, whole(ca))
        policy(contract)
        contract.refuse("get_role", {"RoleName": "jitp"}, code, status, service="iam")
        assert states(contract, ca) == {**OK, "role": state}


def test_a_ca_for_sni_only_needs_no_proof(contract: Contract, ca: Authority) -> None:
    contract.refuse("describe_ca_certificate", {"certificateId": jitp._id(ca)}, "ResourceNotFoundException", 404)
    contract.refuse("describe_ca_certificate", {"certificateId": jitp._id(ca)}, "ResourceNotFoundException", 404)
    config = {"templateBody": json.dumps(factory_ca.template(POLICY)), "roleArn": ROLE}
    wanted = {"caCertificate": ANY, "certificateMode": "SNI_ONLY", "setAsActive": True, "allowAutoRegistration": True}
    contract.expect(
        "register_ca_certificate",
        {**wanted, "registrationConfig": config},
        {"certificateId": jitp._id(ca), "certificateArn": "arn:aws:iot:us-east-1:123456789012:cacert/" + jitp._id(ca)},
    )
    assert jitp.prepare(contract.aws, ca, POLICY, ROLE, sni_only=True) == ["CA registered"]


def test_by_command(
    moto: Moto, product: Path, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is there; all is made but the role; the role is made; names that do not fit are said."""
    common = [str(product), "--ca", str(files[0]), "--ca-key", str(files[1]), "--region", "us-east-1", "--json"]

    def findings(code: int, *arguments: str) -> dict[str, str]:
        assert run(["aws", "jitp", *arguments]) == code
        found = json.loads(capsys.readouterr().out)
        assert found["code"] == ("jitp-incomplete" if code else "pass")
        return {row["subject"]: row["state"] for row in found["findings"]}

    assert findings(2, "check", *common) == {"CA": "missing", "policy": "missing", "role": "missing", "names": "ok"}
    assert findings(2, "prepare", *common, "--role-arn", ROLE) == {**OK, "role": "missing", "names": "ok"}
    iam = moto.iot("iam")
    iam.create_role(RoleName="jitp", AssumeRolePolicyDocument=json.dumps(TRUST))
    assert findings(0, "check", *common) == {**OK, "role": "unknown", "names": "ok"}
    product.write_text(product.read_text() + 'client_id: "line-{device}"\n')
    assert findings(2, "check", *common)["names"] == "missing"
    iam.delete_role(RoleName="jitp")


def test_it_stays_one_registration(moto: Moto, product: Path, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["aws", "jitp", "prepare", str(product), "--ca", str(files[0]), "--ca-key", str(files[1]), "--role-arn", ROLE]
    for _ in range(2):
        run([*argv, "--region", "us-east-1", "--json"])
    assert len(moto.requests("RegisterCACertificate")) == 1 and not moto.requests("UpdateCACertificate")
