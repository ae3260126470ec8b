"""Streams over MQTT from the folder that plays S3, the package catalog, and certificates by `twinroot aws register`."""

from __future__ import annotations

import base64
import io
import json
import queue
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from provisioning.standin import StandIn, mqtt
from tests.standin.account import Alone, arn, client, code
from tests.standin.conftest import Client

boto = pytest.importorskip("botocore.exceptions", reason="the extra aws is not installed")

ROLE = "arn:aws:iam::123456789012:role/streams"


class Reader:
    """A device that asks for streams: its own MQTT, JSON form."""

    def __init__(self, cloud: StandIn, device: str) -> None:
        self.base = f"$aws/things/{device}/streams/"
        self._stream, answer = Client(cloud, device=device).mqtt()
        assert answer == mqtt.connack(0)
        self._parser = mqtt.Parser()
        self._came: queue.SimpleQueue[mqtt.Packet] = queue.SimpleQueue()
        self._stream.sendall(mqtt.subscribe(self.base + "#"))
        assert self._next().kind == mqtt.SUBACK

    def _next(self) -> mqtt.Packet:
        while self._came.empty():
            for packet in self._parser.feed(self._stream.recv(65536)):
                self._came.put(packet)
        return self._came.get()

    def ask(self, stream: str, what: str, body: Any, answers: int = 1) -> list[tuple[str, dict[str, Any]]]:
        """(part of the topic, message) of each answer; a request itself comes back to no device here."""
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._stream.sendall(mqtt.publish(f"{self.base}{stream}/{what}/json", payload))
        found: list[tuple[str, dict[str, Any]]] = []
        while len(found) < answers:
            topic, message = mqtt.published(self._next())
            if not topic.endswith((f"{what}/json",)) or what == "description":
                found.append((topic.split("/")[-2], json.loads(message)))
        return found

    def close(self) -> None:
        self._stream.close()


@pytest.fixture
def reader(shared: StandIn) -> Iterator[Reader]:
    made = Reader(shared, "stream-1")
    yield made
    made.close()


CONTENT = bytes(range(256)) * 45 + b"the rest"  # 46 blocks of 256 bytes, the last one short


@pytest.fixture
def iot(shared: StandIn) -> Any:
    s3, made = client(shared, "s3"), client(shared, "iot")
    s3.create_bucket(Bucket="streams")
    version = s3.put_object(Bucket="streams", Key="set-2", Body=CONTENT)["VersionId"]
    files = [{"fileId": 0, "s3Location": {"bucket": "streams", "key": "set-2", "version": version}}]
    if not any(each["streamId"] == "set-2" for each in made.list_streams()["streams"]):
        made.create_stream(streamId="set-2", description="set 2", files=files, roleArn=ROLE)
    return made


def test_a_file_in_blocks(iot: Any, reader: Reader) -> None:
    ((last, description),) = reader.ask("set-2", "describe", {"c": "token"})
    assert (last, description) == ("description", {"c": "token", "s": 0, "d": "set 2", "r": [{"f": 0, "z": len(CONTENT)}]})
    got = b""
    while len(got) < len(CONTENT):
        asked = {"s": 0, "f": 0, "l": 4096, "o": len(got) // 4096, "n": 1}
        ((last, block),) = reader.ask("set-2", "get", asked)
        data = base64.b64decode(block["p"])
        assert (last, block["f"], block["i"], block["l"]) == ("data", 0, len(got) // 4096, len(data))
        got += data
    assert got == CONTENT


def test_blocks_by_a_bitmap(iot: Any, reader: Reader) -> None:
    """The example of the developer guide: blocks 20, 21, 24 and 43."""
    found = reader.ask("set-2", "get", {"c": "1", "f": 0, "l": 256, "o": 20, "n": 32, "b": "0x130080"}, answers=4)
    assert [(last, block["c"], block["i"]) for last, block in found] == [("data", "1", number) for number in (20, 21, 24, 43)]
    assert base64.b64decode(found[3][1]["p"]) == CONTENT[43 * 256 : 44 * 256]
    found = reader.ask("set-2", "get", {"f": 0, "l": 256, "o": 44, "n": 9}, answers=2)
    assert [(block["i"], block["l"]) for _, block in found] == [(44, 256), (45, 8)], "no more than there are"


@pytest.mark.parametrize(
    ("stream", "what", "body", "expected"),
    [
        ("set-2", "get", {"f": 0, "l": 255, "n": 1}, "BlockSizeOutOfBounds"),
        ("set-2", "get", {"f": 0, "l": 131073, "n": 1}, "BlockSizeOutOfBounds"),
        ("set-2", "get", {"f": 0, "l": 256, "o": 98305, "n": 1}, "OffsetOutOfBounds"),
        ("set-2", "get", {"f": 0, "l": 256, "n": 98305}, "BlockCountLimitExceeded"),
        ("set-2", "get", {"f": 0, "l": 256, "b": "00" * 12288}, "BlockBitmapLimitExceeded"),
        ("set-2", "get", {"f": 0, "l": 256, "b": "xyz"}, "InvalidRequest"),
        ("set-2", "get", {"f": 1, "l": 256, "n": 1}, "ResourceNotFound"),
        ("set-2", "get", {"f": 0, "l": 256, "o": 46, "n": 1}, "ResourceNotFound"),
        ("set-2", "get", {"f": 0, "l": 256, "n": 1, "s": 1}, "VersionMismatch"),
        ("set-2", "get", {"f": "0", "l": 256, "n": 1}, "InvalidRequest"),
        ("set-2", "get", {"l": 256, "n": 1}, "InvalidRequest"),
        ("set-2", "get", {"f": 0, "l": 256, "c": "x" * 65}, "InvalidRequest"),
        ("set-2", "get", b"{", "InvalidJson"),
        ("set-2", "describe", b"", "InvalidJson"),
        ("none", "describe", {}, "ResourceNotFound"),
    ],
)
def test_requests_that_are_rejected(iot: Any, reader: Reader, stream: str, what: str, body: Any, expected: str) -> None:
    ((last, answer),) = reader.ask(stream, what, body)
    assert (last, answer["o"]) == ("rejected", expected)


def test_streams_in_the_control_plane(shared: StandIn, iot: Any) -> None:
    place = {"bucket": "streams", "key": "set-2"}
    made = iot.create_stream(streamId="other", files=[{"fileId": 3, "s3Location": place}], roleArn=ROLE)
    assert made["streamArn"] == arn("other", "stream")
    with pytest.raises(iot.exceptions.ResourceAlreadyExistsException):
        iot.create_stream(streamId="other", files=[{"fileId": 3, "s3Location": place}], roleArn=ROLE)
    for wrong in ({**place, "key": "none"}, {"bucket": "streams"}):
        with pytest.raises(iot.exceptions.InvalidRequestException):
            iot.create_stream(streamId="wrong", files=[{"fileId": 0, "s3Location": wrong}], roleArn=ROLE)
    assert iot.update_stream(streamId="other", description="new")["streamVersion"] == 1
    info = iot.describe_stream(streamId="other")["streamInfo"]
    assert (info["description"], info["files"][0]["fileId"], info["roleArn"]) == ("new", 3, ROLE)
    iot.delete_stream(streamId="other")
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_stream(streamId="other")


# -- the package catalog ---------------------------------------------------------------------------------------------------


def _archive(**files: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{name}.json", content)
    return made.getvalue()


def test_a_package_with_its_sbom(shared: StandIn, iot: Any) -> None:
    s3 = client(shared, "s3")
    s3.put_object(Bucket="streams", Key="good.zip", Body=_archive(sbom='{"bomFormat": "CycloneDX", "specVersion": "1.6"}'))
    s3.put_object(Bucket="streams", Key="bad.zip", Body=_archive(sbom="{}", other="no json"))
    iot.create_package(packageName="weather-station")
    with pytest.raises(iot.exceptions.ConflictException):
        iot.create_package(packageName="weather-station")
    version: Any = {"packageName": "weather-station", "versionName": "2"}
    made = iot.create_package_version(**version, attributes={"set": "2"}, artifact={"s3Location": {"bucket": "streams", "key": "set-2"}})
    assert (made["status"], made["packageVersionArn"]) == ("DRAFT", arn("weather-station/version/2", "package"))
    for key, status in (("bad.zip", "FAILED"), ("good.zip", "SUCCEEDED")):
        answer = iot.associate_sbom_with_package_version(**version, sbom={"s3Location": {"bucket": "streams", "key": key}})
        assert answer["sbomValidationStatus"] == status
        rows = iot.list_sbom_validation_results(**version)["validationResultSummaries"]
        assert {row["validationResult"] for row in rows} == {status}
    with pytest.raises(iot.exceptions.ConflictException):
        iot.update_package(packageName="weather-station", defaultVersionName="2")
    iot.update_package_version(**version, action="PUBLISH")
    iot.update_package(packageName="weather-station", defaultVersionName="2")
    with pytest.raises(iot.exceptions.ConflictException):
        iot.update_package_version(**version, attributes={"set": "3"})
    found = iot.get_package_version(**version)
    assert (found["status"], found["attributes"], found["sbom"]["s3Location"]["key"]) == ("PUBLISHED", {"set": "2"}, "good.zip")
    assert iot.get_package(packageName="weather-station")["defaultVersionName"] == "2"
    assert [each["versionName"] for each in iot.list_package_versions(packageName="weather-station")["packageVersionSummaries"]] == ["2"]
    with pytest.raises(boto.ClientError) as none:
        iot.get_package_version(packageName="weather-station", versionName="3")
    assert code(none) == ("ResourceNotFoundException", 404)
    with pytest.raises(boto.ClientError) as wrong:
        iot.get_package(packageName="not a name")
    assert code(wrong) == ("ValidationException", 400), "the catalog has another word for it"


def test_a_version_that_a_job_installs(tmp_path: Path) -> None:
    alone = Alone(tmp_path)
    alone.fleet(1)
    alone.call("CreatePackage", packageName="p")
    alone.call("CreatePackageVersion", packageName="p", versionName="1")
    alone.job(destinationPackageVersions=[arn("p/version/1", "package")])
    assert alone.call("DescribeJob", jobId="j")["job"]["destinationPackageVersions"] == [arn("p/version/1", "package")]


# -- certificates ----------------------------------------------------------------------------------------------------------

PRODUCT = """\
product: weather-station
board: esp32-generic
cloud:
  region: us-east-1
  endpoint: {endpoint}
  routes:
    - {{name: ats, endpoint: {endpoint}, roots: [StandInATS]}}
roots:
  StandInATS: {{file: "{root}", sha256: "{pin}"}}
identity: {{certificate: "devices/{{device}}.crt.pem", key: "devices/{{device}}.key.pem"}}
"""


def test_twinroot_aws_register_and_the_device_connects(shared: StandIn, iot: Any, tmp_path: Path) -> None:
    """The product's own command against the account: thing, certificate of a request made here, policy; then the device is let in."""
    route = shared.route("ats")
    product = tmp_path / "product.yaml"
    product.write_text(
        PRODUCT.format(endpoint=route["endpoint"], root=shared.roots["StandInATS"], pin=shared.pins["StandInATS"]), encoding="utf-8"
    )
    argv = [sys.executable, "-m", "provisioning", "aws", "register", str(product), "--device", "reg-1", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, env=shared.account.environment(), cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (principal,) = iot.list_thing_principals(thingName="reg-1")["principals"]
    assert len(iot.list_attached_policies(target=principal)["policies"]) == 1
    assert iot.describe_certificate(certificateId=principal.rpartition("/")[2])["certificateDescription"]["status"] == "ACTIVE"

    files = tmp_path / "devices" / "reg-1.crt.pem", tmp_path / "devices" / "reg-1.key.pem"
    device = replace(Client(shared, device="reg-1"), device=None, tune=lambda context: context.load_cert_chain(*files))
    iot.create_job(jobId="registered", targets=[arn("reg-1")], document='{"a": 1}')
    stream = device.connect()
    with stream:
        stream.sendall(mqtt.connect("reg-1"))
        assert stream.recv(16) == mqtt.connack(0)
        stream.sendall(mqtt.subscribe("$aws/things/reg-1/jobs/start-next/accepted"))
        stream.recv(16)
        stream.sendall(mqtt.publish("$aws/things/reg-1/jobs/start-next", b"{}"))
        packet = mqtt.Parser().feed(stream.recv(4096))[0]
    assert json.loads(mqtt.published(packet)[1])["execution"]["jobDocument"] == {"a": 1}
    assert yaml.safe_load(product.read_text())["product"] == "weather-station"
