"""`twinroot aws register` where a certificate lies here already: boards may hold it, so no byte of it is changed, whoever made it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provisioning.aws import iot_api
from provisioning.aws.certificates import Certificates, public_key
from provisioning.aws.claim import holder
from provisioning.aws.journal import Journal
from provisioning.cli.main import run
from provisioning.config.device import single_device
from provisioning.config.load import load_product
from provisioning.errors import InputError
from provisioning.identity import factory, renewal
from provisioning.identity.issue import issue
from provisioning.identity.signer import from_files
from provisioning.job import renewed_certificates as work
from tests.aws.conftest import REGION, Moto

THING = "ws-0001"
MAKING = ("CreateThing", "CreateCertificateFromCsr", "RegisterCertificateWithoutCA", "AttachPolicy", "AttachThingPrincipal")
ISSUE = 'key.pem", issue: {ca: f/ca.crt.pem, ca_key: f/ca.key.pem}}'


@dataclass
class Bench:
    """A product whose device has a certificate of a factory CA."""

    file: Path
    moto: Moto
    capsys: pytest.CaptureFixture[str]

    @property
    def certificate(self) -> Path:
        return self.file.parent / "devices" / f"{THING}.crt.pem"

    @property
    def key(self) -> Path:
        return self.file.parent / "devices" / f"{THING}.key.pem"

    @property
    def journal(self) -> Path:
        return self.file.with_suffix(".aws.jsonl")

    @property
    def fingerprint(self) -> str:
        return renewal.fingerprint(renewal.current(self.certificate))

    def issuing(self) -> None:
        self.file.write_text(self.file.read_text().replace('key.pem"}', ISSUE))

    def register(self, *more: str, device: str = THING) -> tuple[int, dict[str, Any]]:
        """The exit code, and the device's row. The file of the certificate is as it was."""
        before = self.certificate.read_bytes() if self.certificate.exists() else None
        self.capsys.readouterr()
        command = ["aws", "register", str(self.file), "--device", device, "--rate", "0", "--region", REGION, "--json", *more]
        code = run(command)
        assert (self.certificate.read_bytes() if self.certificate.exists() else None) == before
        return code, json.loads(self.capsys.readouterr().out)["devices"][0]

    def certificates(self) -> dict[str, str]:
        return {row["certificateId"]: row["status"] for row in self.moto.iot().list_certificates(pageSize=250)["certificates"]}

    def tied(self, thing: str = THING) -> list[str]:
        return [arn.rpartition("/")[2] for arn in self.moto.iot().list_thing_principals(thingName=thing)["principals"]]

    def give(self, status: str = "ACTIVE") -> str:
        """AWS knows the certificate, as it does after just-in-time registration; its ARN."""
        made = self.moto.iot().register_certificate_without_ca(certificatePem=self.certificate.read_text(), status=status)
        return str(made["certificateArn"])


@pytest.fixture
def bench(product: Path, moto: Moto, capsys: pytest.CaptureFixture[str]) -> Bench:
    made = Bench(product, moto, capsys)
    factory.make_ca("My Factory", product.parent / "f")
    made.certificate.parent.mkdir()
    issue(THING, made.certificate, made.key, from_files(product.parent / "f/ca.crt.pem", product.parent / "f/ca.key.pem"), days=30)
    return made


@pytest.mark.parametrize("key_is_here", [True, False])
def test_a_product_s_own_certificate_is_registered_as_it_is(bench: Bench, key_is_here: bool) -> None:
    bench.issuing()
    if not key_is_here:
        bench.key.unlink()  # it is on its board
    wanted = ["make the thing", "register the certificate that is here", "attach the policy", "attach the thing"]
    assert bench.register("--dry-run")[1]["done"] == wanted and not bench.certificates()
    code, row = bench.register()
    assert (code, row["certificate"], row["done"]) == (0, bench.fingerprint, ["thing", "certificate", "policy", "attached"])
    assert bench.certificates() == {bench.fingerprint: "ACTIVE"} and bench.tied() == [bench.fingerprint]
    assert not bench.moto.requests("CreateCertificateFromCsr")
    made = len(bench.moto.requests(*MAKING))
    assert bench.register()[1]["done"] == []
    bench.journal.unlink()
    assert bench.register()[0] == 0 and bench.key.exists() == key_is_here
    assert bench.tied() == [bench.fingerprint] and len(bench.moto.requests(*MAKING)) == made + 2  # both ties may be made again
    assert not bench.moto.requests("CreateCertificateFromCsr")


def test_a_certificate_of_somebody_else_is_refused(bench: Bench) -> None:
    """The product leaves its certificates to AWS, and AWS has not made this one; whatever a run that was cut off has left."""
    for line in ("", '{"device":"ws-0001","step":"thing"}\n{"device":"ws-0001","step":"request","at":1767225600}\n'):
        bench.journal.write_text(line)
        for more in (["--dry-run"], []):
            code, row = bench.register(*more)
            assert code == 2 and "AWS in us-east-1 does not have that certificate. It stays" in row["message"], row
    bench.issuing()
    (bench.file.parent / "f/ca.crt.pem").unlink()
    (bench.file.parent / "f/ca.key.pem").unlink()
    factory.make_ca("Another Factory", bench.file.parent / "f")
    code, row = bench.register()
    assert code == 2 and "is not of the product's CA" in row["message"]
    bench.key.write_text((bench.file.parent / "f/ca.key.pem").read_text())
    assert "is not the key of the certificate" in bench.register()[1]["message"]
    assert not bench.moto.requests(*MAKING) and not bench.certificates()


@pytest.mark.parametrize(("status", "code"), [("ACTIVE", 0), ("INACTIVE", 2), ("PENDING_ACTIVATION", 2)])
def test_what_aws_has_by_its_fingerprint_is_taken(bench: Bench, status: str, code: int) -> None:
    """As after just-in-time registration, in a product that does not name the CA as well."""
    bench.give(status)
    found, row = bench.register()
    assert found == code
    if code:
        assert f"is {status} there" in row["message"] and not bench.moto.requests("CreateThing")
    else:
        assert bench.tied() == [bench.fingerprint]
    assert bench.certificates() == {bench.fingerprint: status}


def test_a_certificate_of_another_thing_is_refused(bench: Bench) -> None:
    arn = bench.give()
    bench.moto.iot().create_thing(thingName="pump-7")
    bench.moto.iot().attach_thing_principal(thingName="pump-7", principal=arn)
    code, row = bench.register()
    assert code == 2 and "is the certificate of thing pump-7 in AWS" in row["message"]
    other = bench.certificate.with_name("ws-0002.crt.pem")
    other.write_bytes(bench.certificate.read_bytes())
    code, row = bench.register(device="ws-0002")
    assert code == 2 and "names 'ws-0001', and the device is ws-0002" in row["message"]


def test_a_renewed_certificate_waits_for_its_own_command(bench: Bench) -> None:
    bench.issuing()
    assert bench.register()[0] == 0
    old, product = bench.fingerprint, load_product(bench.file)
    signer = factory.authority(product)
    assert signer is not None
    make = renewal.issued_by(signer, 400, work.now(), chain=False)
    renewal.put(bench.certificate, renewal.prepare(bench.certificate, bench.key, renewal.current(bench.certificate), make))
    for more in (["--dry-run"], []):
        code, row = bench.register(*more)
        assert code == 2 and "was renewed" in row["message"] and "--renewed" in row["hint"]
    assert list(bench.certificates()) == [old]
    (bench.file.parent / "devices.csv").write_text(f"device\n{THING}\n")
    assert bench.register("--renewed")[0] == 0
    code, row = bench.register()
    assert (code, row["done"], row["certificate"]) == (0, [], bench.fingerprint)
    before = len(bench.moto.requests())
    assert bench.register()[0] == 0 and len(bench.moto.requests()) == before + 1  # the policy, once a run
    assert set(bench.tied()) == {old, bench.fingerprint}


def test_the_next_board_of_a_device(bench: Bench) -> None:
    """What was retired does not come back by way of AWS, and the new one is registered beside it."""
    bench.issuing()
    assert bench.register()[0] == 0
    old, product = bench.fingerprint, load_product(bench.file)
    assert factory.retire(product, single_device(THING), None) == [old]
    code, row = bench.register()
    assert code == 2 and "is missing" in row["message"] and "identity make" in row["hint"]
    assert factory.ensure_identity(product, single_device(THING)) is not None
    code, row = bench.register()
    assert (code, row["done"]) == (0, ["certificate", "policy", "attached"]) and bench.fingerprint != old
    assert set(bench.tied()) == {old, bench.fingerprint}
    assert bench.register()[1]["done"] == []


def test_one_that_differs_from_what_was_registered_is_refused(bench: Bench) -> None:
    bench.issuing()
    assert bench.register()[0] == 0
    bench.certificate.unlink()
    assert factory.ensure_identity(load_product(bench.file), single_device(THING)) is not None
    code, row = bench.register()
    assert code == 2 and "is not the certificate that was registered" in row["message"] and len(bench.certificates()) == 1


def test_where_the_product_makes_certificates_aws_makes_none(bench: Bench) -> None:
    bench.issuing()
    for more in (["--dry-run"], []):
        code, row = bench.register(*more, device="ws-0002")
        assert code == 2 and "identity make" in row["hint"]
    assert not bench.moto.requests(*MAKING) and not bench.certificate.with_name("ws-0002.key.pem").exists()


def test_the_claim_certificate_is_not_replaced_either(product: Path, bench: Bench) -> None:
    folder = product.parent / "claim"
    folder.mkdir()
    for path in (bench.certificate, bench.key):
        (folder / f"twinroot-weather-station{path.name.removeprefix(THING)}").write_bytes(path.read_bytes())
    held = holder(folder, "twinroot-weather-station")
    before = hashlib.sha256(held.certificate.read_bytes()).hexdigest()
    with Journal(bench.journal) as journal, pytest.raises(InputError, match="does not have that certificate"):
        Certificates(iot_api.connect(REGION, rate=0), journal, lambda: 0.0).have(held, public_key(held))
    assert hashlib.sha256(held.certificate.read_bytes()).hexdigest() == before and not bench.moto.requests(*MAKING)
