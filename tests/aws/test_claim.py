"""`twinroot aws claim`: the account's side against AWS's model, the device's over TLS with a broker as strict as AWS's documents."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("paho.mqtt", reason="the extra aws is not installed")

from provisioning.aws import claim, fleet_provisioning, iot_api, provisioning_mqtt
from provisioning.cli.main import run
from provisioning.errors import InputError
from tests.device.server import Server, context
from tests.support import pki
from tests.support.aws_contract import Contract
from tests.support.claim_server import CREATE, ClaimBroker
from tests.support.iot_policy import allows

HOST = "abc-ats.iot.us-east-1.amazonaws.com"
ROLE = "arn:aws:iam::123456789012:role/provisioning"
TEMPLATE = "twinroot-weather-station"
PROVISION = claim.topic(TEMPLATE)
PRODUCT = """\
product: weather-station
board: esp32-generic
cloud:
  region: us-east-1
  routes: [{{name: ats, endpoint: {host}, roots: [Lab]}}]
roots: {{Lab: {{file: lab.pem, sha256: "{sha256}"}}}}
identity: {{certificate: "devices/{{device}}.crt.pem", key: "devices/{{device}}.key.pem"}}
lab: {{resolve: {{"{host}:8883": "{address}"}}}}
"""


class Line:
    """A line with a claim certificate, a product and a list, and the broker that it meets."""

    def __init__(self, folder: Path, root: pki.Cert | None = None) -> None:
        self.folder, self.broker = folder, ClaimBroker()
        trusted = pki.root("Lab Root")
        self.server = Server(self.broker.behaviour(context(folder / "tls", [pki.server(HOST, root or trusted)], self.broker.issuer)))
        (folder / "lab.pem").write_bytes(trusted.pem)
        self.product = folder / "product.yaml"
        self.product.write_text(PRODUCT.format(host=HOST, address=self.server.address, sha256=hashlib.sha256(trusted.der).hexdigest()))
        own = pki.client("claim", self.broker.issuer)
        (folder / "claim").mkdir()
        (folder / f"claim/{TEMPLATE}.crt.pem").write_bytes(own.pem)
        (folder / f"claim/{TEMPLATE}.key.pem").write_bytes(own.key_pem)
        self.broker.claims[hashlib.sha256(own.der).hexdigest()] = claim.claim_policy("us-east-1", "aws", TEMPLATE)
        self.broker.templates[TEMPLATE] = claim.template_body("p")
        self.csv = folder / "devices.csv"
        self.csv.write_text("device\nws-1\nws-2\nws-3\n")

    def run(self, *arguments: str) -> int:
        return run(["aws", "claim", "provision", str(self.product), "--devices", str(self.csv), "--json", *arguments])

    def assert_whole(self, count: int = 3) -> None:
        """Each device has a thing, and the certificate of that thing with its key; nothing else is left."""
        assert len(self.broker.things) == count
        for name, number in self.broker.things.items():
            file, key = self.folder / f"devices/{name}.crt.pem", self.folder / f"devices/{name}.key.pem"
            assert file.read_bytes() == self.broker.made[number].pem
            assert os.name == "nt" or key.stat().st_mode & 0o777 == 0o600
        assert len(list((self.folder / "devices").iterdir())) == 2 * count


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path)
    yield made
    made.server.close()


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_each_device_gets_a_certificate_once(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    assert line.run() == 0
    assert [row["done"] for row in said(capsys)["devices"]] == [["certificate", "thing"]] * 3
    line.assert_whole()
    assert line.run() == 0
    shown = capsys.readouterr()
    assert [row["done"] for row in json.loads(shown.out)["devices"]] == [[]] * 3
    assert line.broker.asked == {CREATE: 3, PROVISION: 3} and line.server.count == 2


def test_the_key_stays_and_no_token_is_shown(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    line.broker.rejections[PROVISION] = {"statusCode": 403, "errorCode": "AccessDenied", "errorMessage": "role"}
    assert line.run() == 2
    shown = capsys.readouterr()
    first, *rest = json.loads(shown.out)["devices"]
    assert "AWS rejects thing ws-1: AccessDenied, role." in first["message"] and "AWSIoTThingsRegistration" in first["hint"]
    assert [row["outcome"] for row in rest] == ["pass", "pass"]
    pending = line.folder / "devices/.ws-1.crt.pem.claim"
    token = json.loads(pending.read_text())["certificateOwnershipToken"]
    assert os.name == "nt" or pending.stat().st_mode & 0o777 == 0o600
    secret = (line.folder / "devices/ws-1.key.pem").read_text().splitlines()[1]
    sent = b"".join(body for _, body in line.broker.packets)
    assert token not in shown.out + shown.err and secret.encode() not in sent and b"PRIVATE" not in sent
    assert line.run() == 0  # the certificate that was made is the one that it has
    assert line.broker.asked[CREATE] == 3
    line.assert_whole()


@pytest.mark.parametrize(("topic", "certificates"), [(CREATE, 4), (PROVISION, 3)])
def test_a_lost_answer(line: Line, capsys: pytest.CaptureFixture[str], topic: str, certificates: int) -> None:
    """A certificate whose answer was lost is deleted by AWS; a thing whose answer was lost is found by its certificate."""
    line.broker.lost.append(topic)
    assert line.run() == 3
    assert said(capsys)["code"] == "claim-refused"
    assert line.run() == 0
    line.assert_whole()
    assert line.broker.asked[CREATE] == certificates


def test_a_token_that_is_over(line: Line, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    line.broker.rejections[PROVISION] = {"statusCode": 429, "errorCode": "Throttling", "errorMessage": "later"}
    assert line.run() == 2
    capsys.readouterr()
    line.broker.clock = 7200
    assert line.run() == 0  # this computer's clock says that it is good: AWS says no
    assert said(capsys)["devices"][0]["done"] == ["certificate", "thing"]
    line.assert_whole()
    (line.folder / "devices/ws-2.crt.pem").unlink()  # and a device that lost its certificate gets another
    monkeypatch.setattr(fleet_provisioning, "TOKEN_SECONDS", 0)
    assert line.run() == 0
    assert line.broker.asked[CREATE] == 5


def test_what_is_refused(line: Line, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert line.run("--template", "other") == 2
    assert said(capsys)["code"] == "no-claim"
    assert line.run("--template", "a b") == 2
    assert said(capsys)["code"] == "bad-template-name"
    [policy] = line.broker.claims.values()
    for statement, code in ((0, "claim-refused"), (3, "claim-refused")):
        resource = policy["Statement"][statement]["Resource"]
        policy["Statement"][statement]["Resource"] = []
        assert line.run() == 3 and said(capsys)["code"] == code
        policy["Statement"][statement]["Resource"] = resource
    del line.broker.templates[TEMPLATE]
    assert line.run() == 2
    assert "aws claim prepare" in said(capsys)["devices"][0]["hint"]
    line.broker.silent = True
    monkeypatch.setattr(provisioning_mqtt.Session.__init__, "__defaults__", (0.3,))
    assert line.run() == 3 and said(capsys)["code"] == "claim-silent"
    line.server.close()
    assert line.run() == 3 and said(capsys)["code"] == "no-network"
    assert not line.broker.things


def test_only_the_roots_of_the_product_vouch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = Line(tmp_path, root=pki.root("Somebody Else"))
    assert line.run() == 3
    assert said(capsys)["code"] == "untrusted-endpoint" and not line.broker.packets and not (tmp_path / "devices").exists()
    line.server.close()


def test_the_claim_policy_allows_that_and_nothing_else() -> None:
    policy = claim.claim_policy("us-east-1", "aws", "t")
    assert allows(policy, "iot:Publish", "topic/$aws/provisioning-templates/t/provision/json", "x")
    for action, resource in (
        ("iot:Connect", "client/ws-1"),
        ("iot:Publish", "topic/$aws/provisioning-templates/other/provision/json"),
        ("iot:Publish", "topic/devices/ws-1/reading"),
        ("iot:Subscribe", "topicfilter/#"),
        ("iot:Receive", "topic/devices/ws-1/reading"),
    ):
        assert not allows(policy, action, resource, "x")


CERTIFICATE = "arn:aws:iot:us-east-1:123456789012:cert/"


def prepare(product: Path, *more: str) -> int:
    return run(["aws", "claim", "prepare", str(product), "--role-arn", ROLE, "--region", "us-east-1", "--json", *more])


def test_the_account_is_prepared_once(
    contract: Contract, product: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iot_api, "connect", lambda *_: contract.aws)
    issuer = pki.root("AWS IoT Certificate")
    client = contract.aws._services["iot"]
    asked: dict[str, Any] = {}

    def sign(params: dict[str, Any], **_: Any) -> None:
        asked.update(params)

    client.meta.events.register("provide-client-params.iot.CreateCertificateFromCsr", sign)
    own = product.parent / "claim" / f"{TEMPLATE}.key.pem"
    own.parent.mkdir()
    own.write_bytes(pki.make(pki.name("x")).key_pem)
    own.chmod(0o600)
    made = pki.make(pki.name("x"), issuer, public=pki.key("ec", pki.name("x").rfc4514_string()).public_key())
    number = hashlib.sha256(made.der).hexdigest()
    policies = contract_policies(contract, made=True)
    contract.refuse("describe_provisioning_template", {"templateName": TEMPLATE}, "ResourceNotFoundException", 404)
    body = json.dumps(claim.template_body(TEMPLATE))
    wanted = {"templateName": TEMPLATE, "description": "Devices of twinroot, by claim", "templateBody": body, "enabled": True}
    wanted |= {"provisioningRoleArn": ROLE, "type": "FLEET_PROVISIONING"}
    contract.expect("create_provisioning_template", wanted, {"templateName": TEMPLATE, "defaultVersionId": 1})
    policies()
    from botocore.stub import ANY

    contract.expect(
        "create_certificate_from_csr",
        {"certificateSigningRequest": ANY, "setAsActive": True},
        {"certificateId": number, "certificateArn": CERTIFICATE + number, "certificatePem": made.pem.decode()},
    )
    contract.refuse("attach_policy", {"policyName": f"{TEMPLATE}-claim", "target": CERTIFICATE + number}, "ThrottlingException", 429)
    contract.refuse("attach_policy", {"policyName": f"{TEMPLATE}-claim", "target": CERTIFICATE + number}, "UnauthorizedException", 401)
    assert prepare(product) == 3
    assert said(capsys)["code"] == "no-permission" and "CERTIFICATE REQUEST" in asked["certificateSigningRequest"]
    # Again, from there: nothing is made twice.
    again = contract_policies(contract, made=False)
    found = {"templateName": TEMPLATE, "templateBody": body, "enabled": True, "provisioningRoleArn": ROLE, "type": "FLEET_PROVISIONING"}
    contract.expect("describe_provisioning_template", {"templateName": TEMPLATE}, found)
    again()
    contract.expect("attach_policy", {"policyName": f"{TEMPLATE}-claim", "target": CERTIFICATE + number})
    assert prepare(product) == 0
    assert said(capsys)["done"] == ["attached"]
    third = contract_policies(contract, made=False)
    contract.expect("describe_provisioning_template", {"templateName": TEMPLATE}, {**found, "enabled": False})
    assert prepare(product) == 2
    assert "is not enabled" in said(capsys)["message"]
    del third


def contract_policies(contract: Contract, *, made: bool) -> Any:
    """The devices' policy is asked for at once, that of claims by what this returns."""
    from provisioning.aws.topics import policy_document

    def expect(name: str, document: dict[str, Any]) -> None:
        if made:
            contract.refuse("get_policy", {"policyName": name}, "ResourceNotFoundException", 404)
            contract.expect("create_policy", {"policyName": name, "policyDocument": json.dumps(document)}, {"policyName": name})
        else:
            contract.expect("get_policy", {"policyName": name}, {"policyName": name, "policyDocument": json.dumps(document)})

    expect(TEMPLATE, policy_document("us-east-1", "aws"))
    return lambda: expect(f"{TEMPLATE}-claim", claim.claim_policy("us-east-1", "aws", TEMPLATE))


def test_a_template_of_somebody_else(contract: Contract) -> None:
    answer = {"templateName": "t", "templateBody": "{}", "enabled": True, "provisioningRoleArn": ROLE, "type": "JITP"}
    contract.refuse("describe_provisioning_template", {"templateName": "t"}, "ResourceNotFoundException", 404)
    contract.refuse("create_provisioning_template", None, "ResourceAlreadyExistsException", 409)  # type: ignore[arg-type]
    contract.expect("describe_provisioning_template", {"templateName": "t"}, answer)
    with pytest.raises(InputError, match="makes something else of a device, is of the type JITP"):
        claim._template(contract.aws, "t", "p", ROLE)
