"""Renewed certificates in AWS: registered beside the old ones; these go when the device was seen with the new one, and not before."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provisioning.aws import iot_api, renewed
from provisioning.aws.register import Registration
from provisioning.cli.main import run
from provisioning.config.load import load_product
from provisioning.identity import factory, renewal
from provisioning.identity.issue import issue
from provisioning.job import renewed_certificates as work
from tests.aws.conftest import REGION, Moto
from tests.support.aws_contract import Contract

THING = "ws-0001"


@dataclass
class Line:
    """A product whose device is known to AWS by the old certificate, which has been renewed here."""

    product: Path
    unit: Registration
    old: str = ""
    new: str = ""
    ca: bytes = b""

    @classmethod
    def made(cls, file: Path) -> Line:
        file.write_text(file.read_text().replace('key.pem"}', 'key.pem", issue: {ca: f/ca.crt.pem, ca_key: f/ca.key.pem}}'))
        (file.parent / "devices.csv").write_text(f"device\n{THING}\n")
        factory.make_ca("Test Factory", file.parent / "f")
        product = load_product(file)
        signer = factory.authority(product)
        assert signer is not None
        (file.parent / "devices").mkdir(exist_ok=True)
        certificate, key = (file.parent / "devices" / f"{THING}.{end}.pem" for end in ("crt", "key"))
        issue(THING, certificate, key, signer, days=30)
        line = cls(file, Registration(THING, key, certificate, THING))
        old = renewal.current(certificate)
        line.old, line.ca = renewal.fingerprint(old), (file.parent / "f" / "ca.crt.pem").read_bytes()
        line.pem = certificate.read_text()
        return line

    pem: str = ""

    def renew(self) -> None:
        signer = factory.authority(load_product(self.product))
        assert signer is not None
        made = renewal.prepare(
            self.unit.certificate,
            self.unit.key,
            renewal.current(self.unit.certificate),
            renewal.issued_by(signer, 400, work.now(), chain=False),
        )
        renewal.put(self.unit.certificate, made)
        self.new = made.sha256

    def health(self, certificate: str, **more: Any) -> Path:
        file = self.product.parent / "health.jsonl"
        row = {"device": THING, "health": {"t": 1, "s": 2, "p": 2, "c": certificate[:8], **more}}
        with file.open("a") as f:
            f.write(json.dumps(row) + "\n")
        return file


@pytest.fixture
def line(product: Path, moto: Moto) -> Line:
    made = Line.made(product)
    iot = moto.iot()
    iot.create_thing(thingName=THING)
    iot.create_policy(policyName="theirs", policyDocument='{"Version": "2012-10-17", "Statement": []}')
    arn = iot.register_certificate_without_ca(certificatePem=made.pem, status="ACTIVE")["certificateArn"]
    iot.attach_policy(policyName="theirs", target=arn)
    iot.attach_thing_principal(thingName=THING, principal=arn)
    return made


def command(line: Line, *arguments: str) -> int:
    csv = str(line.product.parent / "devices.csv")
    return run(["aws", *arguments, str(line.product), "--devices", csv, "--rate", "0", "--region", REGION, "--json"])


def status(moto: Moto, *names: str) -> list[str]:
    return [moto.iot().describe_certificate(certificateId=name)["certificateDescription"]["status"] for name in names]


def test_beside_the_old_one_and_then_instead_of_it(line: Line, moto: Moto, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(line, "register", "--renewed") == 2
    assert json.loads(capsys.readouterr().out)["code"] == "nothing-renewed"
    line.renew()
    for made in (["certificate", "policy theirs", "attached"], []):
        assert command(line, "register", "--renewed") == 0
        [row] = json.loads(capsys.readouterr().out)["devices"]
        assert (row["certificate"], row["done"]) == (line.new, made)
    assert status(moto, line.old, line.new) == ["ACTIVE", "ACTIVE"]
    assert len(moto.iot().list_thing_principals(thingName=THING)["principals"]) == 2

    # No evidence: what the device said last is the old one, an unproven set, or nothing.
    (line.product.parent / "health.jsonl").write_text("")
    for more in ({}, {"certificate": line.old}, {"certificate": line.new, "p": 1}, {"certificate": line.old, "t": 9}):
        if "certificate" in more:
            line.health(**more)
        assert command(line, "retire-certificates", "--health", str(line.product.parent / "health.jsonl")) == 0
        assert [r["outcome"] for r in json.loads(capsys.readouterr().out)["devices"]] == ["waiting"]
    assert not moto.requests("UpdateCertificate")

    file = line.health(line.new, t=10)
    for dry, done, left in ((["--dry-run"], 1, "ACTIVE"), ([], 1, "INACTIVE"), ([], 0, "INACTIVE")):
        assert command(line, "retire-certificates", "--health", str(file), *dry) == 0
        [row] = json.loads(capsys.readouterr().out)["devices"]
        assert (row["outcome"], len(row["done"])) == ("pass", done)
        assert status(moto, line.old, line.new) == [left, "ACTIVE"]


def test_those_of_another_ca_are_taken_where_the_hint_says_that_they_go(line: Line, moto: Moto, capsys: pytest.CaptureFixture[str]) -> None:
    """The product makes none, so nothing sends people to the command that would: docs/renewal.md, "From another CA"."""
    signer = factory.authority(load_product(line.product))
    line.product.write_text(line.product.read_text().replace(", issue: {ca: f/ca.crt.pem, ca_key: f/ca.key.pem}", ""))
    assert command(line, "register", "--renewed") == 2
    hint = json.loads(capsys.readouterr().out)["hint"]
    assert "identity renew" not in hint and "docs/renewal.md" in hint
    assert signer is not None
    old = renewal.current(line.unit.certificate)
    new = renewal.issued_by(signer, 400, work.now(), chain=False)(old)
    line.unit.certificate.rename(line.unit.certificate.with_name(f"{THING}.replaced-2027.pem"))
    line.unit.certificate.write_bytes(new)
    assert command(line, "register", "--renewed") == 0
    [row] = json.loads(capsys.readouterr().out)["devices"]
    assert row["done"] == ["certificate", "policy theirs", "attached"]


def test_evidence_without_the_new_one_in_aws_deactivates_nothing(line: Line, aws: iot_api.Aws, moto: Moto) -> None:
    line.renew()
    [row] = renewed.retire(aws, [line.unit], {THING: {"s": 2, "p": 2, "c": line.new[:8]}})
    assert row.outcome == "error" and "--renewed" in row.hint
    assert status(moto, line.old) == ["ACTIVE"]


def test_with_a_ca_that_the_account_knows(product: Path, contract: Contract) -> None:
    """As AWS's model has it: the CA goes along, a certificate that is there by now is taken as made."""
    line = Line.made(product)
    line.renew()
    from provisioning.pem.read import certificates

    ca = certificates(line.ca)[0]
    arn = "arn:aws:iot:us-east-1:123456789012:cert/" + line.new
    pem = line.unit.certificate.read_text()
    name = hashlib.sha256(ca).hexdigest()
    contract.expect("describe_ca_certificate", {"certificateId": name}, {"certificateDescription": {"certificateId": name}})
    contract.refuse("describe_certificate", {"certificateId": line.new}, "ResourceNotFoundException", 404)
    wanted = {"certificatePem": pem, "caCertificatePem": line.ca.decode(), "status": "ACTIVE"}
    contract.refuse("register_certificate", wanted, "ResourceAlreadyExistsException", 409)
    contract.expect("describe_certificate", {"certificateId": line.new}, {"certificateDescription": {"certificateArn": arn}})
    contract.refuse("describe_certificate", {"certificateId": line.old}, "ResourceNotFoundException", 404)
    contract.expect("list_attached_policies", {"target": arn}, {"policies": []})
    contract.expect("attach_policy", {"policyName": "ours", "target": arn}, {})
    contract.expect("list_thing_principals", {"thingName": THING}, {"principals": [arn]})
    [row] = renewed.register(contract.aws, [line.unit], "ours", ca)
    assert (row.outcome, row.done) == ("pass", ("policy ours",)), row
