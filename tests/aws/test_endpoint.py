"""`twinroot aws endpoint` over real HTTP: every type asked for by name, every answer checked, every failure one sentence."""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from provisioning.aws.endpoints import describe
from provisioning.aws.iot_api import connect
from provisioning.cli.main import run
from provisioning.errors import StationError
from provisioning.identity import factory
from provisioning.identity.pair import leaf_of
from tests.aws.conftest import PRODUCT, Moto
from tests.aws.test_streams import container


def asked(moto: Moto) -> list[str]:
    return [r["query"].get("endpointType", ["NONE"])[0] for r in moto.requests("DescribeEndpoint")]


def test_each_type_is_asked_for_by_name_and_named_with_its_pair(moto: Moto, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["aws", "endpoint", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    rows = {row["class"]: row for row in data["endpoints"]}
    assert set(rows) == {"ats", "legacy", "credentials", "jobs"}
    assert rows["ats"]["host"].split(".")[0].endswith("-ats")
    assert rows["ats"]["pair"] == rows["legacy"]["host"] and rows["legacy"]["pair"] == rows["ats"]["host"]
    assert asked(moto) == ["iot:Data-ATS", "iot:Data", "iot:CredentialProvider", "iot:Jobs"]
    assert run(["aws", "endpoint"]) == 0  # nothing is cached: AWS is asked again
    assert len(asked(moto)) == 8


def test_in_a_region_with_ats_only_the_legacy_type_is_never_asked_for(moto: Moto, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["aws", "endpoint", "--region", "ap-south-1"]) == 0
    assert "iot:Data" not in asked(moto)
    assert "ap-south-1 has ATS endpoints only" in capsys.readouterr().err


def test_it_goes_into_a_product_whose_comments_and_order_stay(moto: Moto, product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["aws", "endpoint", "--write", str(product), "--region", "us-east-1", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    host = next(r["host"] for r in data["endpoints"] if r["class"] == "ats")
    assert data["changed"] is True
    assert product.read_text() == PRODUCT.replace("us-west-2  ", "us-east-1  ").replace("old-ats.iot.us-west-2.amazonaws.com", host)
    before = product.stat().st_mtime_ns
    assert run(["aws", "endpoint", "--write", str(product)]) == 0
    assert product.stat().st_mtime_ns == before


def test_a_product_on_the_legacy_endpoint_keeps_its_preference(moto: Moto, product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The ATS endpoint is written in, and the devices' first route stays the one it was: moving them is `migrate plan --next`."""
    before = product.read_text()
    product.write_text(before.replace("old-ats.iot", "old.iot"))
    assert run(["aws", "endpoint", "--write", str(product), "--region", "us-east-1", "--json"]) == 0
    host = next(r["host"] for r in json.loads(capsys.readouterr().out)["endpoints"] if r["class"] == "ats")
    text = product.read_text()
    assert f"endpoint: {host}" in text and "phase: legacy-first" in text
    assert text.replace("phase: legacy-first\n  ", "") == before.replace("us-west-2  ", "us-east-1  ").replace(
        "old-ats.iot.us-west-2.amazonaws.com", host
    )
    assert run(["aws", "endpoint", "--write", str(product)]) == 0
    assert "says so already" in capsys.readouterr().out and product.read_text() == text


def test_the_products_region_is_asked(
    moto: Moto, product: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not the region that happens to be set for AWS's tools, and none has to be set at all."""
    for set_for_aws in ("eu-west-1", None):
        monkeypatch.setenv("AWS_REGION", set_for_aws) if set_for_aws else monkeypatch.delenv("AWS_REGION")
        assert run(["aws", "endpoint", "--write", str(product), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["region"] == "us-west-2"
    assert "region: us-west-2   # to be replaced" in product.read_text()


def test_routes_by_hand_get_the_endpoint_of_their_class(moto: Moto, tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(
        "cloud:\n  routes:\n  - {name: new, endpoint: a-ats.iot.us-east-1.amazonaws.com, roots: [AmazonRootCA1]}  # first\n"
        "  - name: old\n    endpoint: 'a.iot.us-east-1.amazonaws.com'\n    roots: [VeriSign-Class3-Public-Primary-G5]\n"
    )
    assert run(["aws", "endpoint", "--write", str(file)]) == 0
    text = file.read_text()
    assert "# first" in text and "a-ats.iot" not in text and "'a.iot" not in text and text.count(".iot.us-east-1.amazonaws.com") == 2
    assert run(["aws", "endpoint", "--region", "ap-south-1", "--write", str(file)]) == 2
    assert file.read_text() == text


class Liar:
    """A client whose answers are not what was asked for."""

    def __init__(self, host: str) -> None:
        self.host = host

    def describe_endpoint(self, **_: Any) -> dict[str, str]:
        return {"endpointAddress": self.host}


@pytest.mark.parametrize("host", ["a.iot.us-east-1.amazonaws.com", "a-ats.iot.eu-west-1.amazonaws.com", "evil.example", ""])
def test_an_answer_of_another_class_or_region_is_refused(host: str) -> None:
    from provisioning.aws.iot_api import Aws

    with pytest.raises(StationError) as error:
        describe(Aws(Liar(host), "us-east-1", rate=0), ["iot:Data-ATS"])
    assert error.value.code == "unexpected-endpoint" and repr(host) in error.value.message


@pytest.mark.parametrize(
    ("fault", "code", "exit_code"),
    [
        ("error * 403 AccessDeniedException", "no-permission", 3),
        ("error * 401 UnauthorizedException", "no-permission", 3),
        ("error * 403 UnrecognizedClientException", "bad-credentials", 3),
        ("error * 403 ExpiredTokenException", "expired-credentials", 3),
        ("error * 400 InvalidRequestException", "refused-by-aws", 2),
    ],
)
def test_what_aws_refuses_is_one_sentence(moto: Moto, capsys: pytest.CaptureFixture[str], fault: str, code: str, exit_code: int) -> None:
    moto.fault(fault)
    assert run(["aws", "endpoint", "--json"]) == exit_code
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert report["code"] == code and report["hint"] and "Traceback" not in shown.err
    assert "DescribeEndpoint" in report["message"]
    assert len(moto.requests()) == 1, "what will not change is not asked again"


def test_throttling_is_waited_out_and_given_up_with_a_sentence(moto: Moto) -> None:
    waited: list[float] = []
    aws = connect("us-east-1", rate=0)
    aws._sleep = waited.append
    moto.fault("throttle DescribeEndpoint 3")
    assert describe(aws, ["iot:Jobs"])[0].cls == "jobs"
    assert len(waited) == 3 and waited == sorted(waited) and 0 < waited[0] <= 0.5
    moto.fault("throttle DescribeEndpoint 100")
    with pytest.raises(StationError) as error:
        describe(aws, ["iot:Jobs"])
    assert error.value.code == "throttled" and "--rate" in error.value.hint
    assert len(moto.requests("DescribeEndpoint")) == 4 + 6


def test_requests_are_paced() -> None:
    waited: list[float] = []
    from provisioning.aws.iot_api import Aws

    aws = Aws(Liar("x"), "us-east-1", rate=10, sleep=waited.append)
    for _ in range(5):
        aws.call("describe_endpoint")
    assert len(waited) == 4 and sum(waited) == pytest.approx(0.1 + 0.2 + 0.3 + 0.4, abs=0.05)


def test_no_credentials_no_region_no_profile_no_network(
    moto: Moto, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*arguments: str) -> dict[str, Any]:
        assert run(["aws", "endpoint", "--json", *arguments]) in (2, 3)
        report: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert report["hint"] and "\n" not in report["message"]
        return report

    assert fails("--profile", "nobody")["code"] == "no-profile"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: refused at once
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        assert fails()["code"] == "no-network"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert fails()["code"] == "no-credentials"
    monkeypatch.delenv("AWS_REGION")
    assert fails()["code"] == "no-region"


def test_without_boto3_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    assert run(["aws", "endpoint", "--json"]) == 3
    assert "twinroot[aws]" in json.loads(capsys.readouterr().out)["hint"]


@pytest.mark.parametrize(
    ("cloud", "whose"),
    [
        ("endpoint: hub1.azure-devices.net", "Azure IoT Hub"),
        ("routes: [{name: hub, endpoint: hub1.azure-devices.net, roots: [DigiCertGlobalRootG2]}]", "Azure IoT Hub"),
        ("provider: mosquitto, endpoint: broker.lan", "an MQTT broker of your own"),
    ],
)
def test_a_product_of_another_provider_gets_no_endpoint_of_aws(
    moto: Moto, tmp_path: Path, cloud: str, whose: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "product.yaml"
    file.write_text(f"product: hub\ncloud: {{{cloud}}}\n")
    before = file.read_bytes()
    assert run(["aws", "endpoint", "--region", "us-east-1", "--write", str(file), "--json"]) == 2
    said = json.loads(capsys.readouterr().out)
    assert said["code"] == "other-provider" and whose in said["message"] and file.read_bytes() == before
    assert asked(moto) == []


AZURE = "{endpoint: hub1.azure-devices.net}"
MOSQUITTO = "{provider: mosquitto, endpoint: broker.lan}"
ROLE = ("--role-arn", "arn:aws:iam::123456789012:role/x")


@pytest.mark.parametrize(("cloud", "title"), [(AZURE, "Azure IoT Hub"), (MOSQUITTO, "broker of your own")])
def test_a_product_of_another_provider_is_left_as_it_is(
    moto: Moto, product: Path, cloud: str, title: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it is written or made: neither an endpoint of AWS into its file, nor its devices in AWS."""
    folder = product.parent
    factory.make_ca("home-2026", folder / "f")
    pin = hashlib.sha256(leaf_of(folder / "f" / "ca.crt.pem")).hexdigest()
    product.write_text(
        f"product: other\nboard: esp32-generic\ncloud: {cloud}\nroots: {{home: {{file: f/ca.crt.pem, sha256: {pin}}}}}\n"
        'identity: {certificate: "{device}.crt.pem", key: "{device}.key.pem", issue: {ca: f/ca.crt.pem, ca_key: f/ca.key.pem}}\n'
    )
    (folder / "set.bin").write_bytes(container(size=900, product="other"))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for words in (
        ["endpoint", "--write", str(product)],
        ["register", str(product), "--device", "ws-1"],
        ["register", str(product), "--device", "ws-1", "--dry-run"],
        ["register", str(product), "--device", "ws-1", "--renewed"],
        ["retire-certificates", str(product), "--device", "ws-1"],
        ["register-ca", str(product), *ROLE],
        ["claim", "prepare", str(product), *ROLE],
        ["claim", "provision", str(product), "--device", "ws-1"],
        ["jitp", "check", str(product)],
        ["jitp", "prepare", str(product), *ROLE],
        ["job", "create", str(folder / "set.bin"), "--product", str(product), "--device", "ws-1"],
    ):
        assert run(["aws", *words, "--json"]) == 2, words
        found = json.loads(capsys.readouterr().out)
        assert found["code"] == "other-provider" and title in found["message"], (words, found)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert not moto.requests()
