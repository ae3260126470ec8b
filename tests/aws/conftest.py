"""An AWS that is not there: moto's server, told through its standard input, and a product to register."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("boto3", reason="the extra aws is not installed")
pytest.importorskip("moto", reason="moto is not installed")

from provisioning.aws import iot_api
from tests.support.aws_contract import Contract

REGION = "us-east-1"


class Moto:
    """One server process with an account of its own."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "requests.jsonl"
        argv = [sys.executable, str(Path(__file__).with_name("moto_server.py")), str(self.log)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{self._line()}"

    def fault(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        assert self._line() == "ok"

    def finish(self, job_id: str, thing: str, status: str, why: str = "-") -> None:
        """What a device says of its execution."""
        self.fault(f"execution {job_id} {thing} {status} {why}")

    def requests(self, *operations: str) -> list[dict[str, Any]]:
        rows = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return [r for r in rows if not operations or r["operation"] in operations]

    def iot(self, service: str = "iot") -> Any:
        """A client of boto3's own, to look at what is there."""
        import boto3

        return boto3.client(service, region_name=REGION, endpoint_url=self.url)

    def stop(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline().strip()
        assert line, "the server did not start"
        return line


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    started = Moto(tmp_path_factory.mktemp("moto"))
    yield started
    started.stop()


@pytest.fixture
def moto(server: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Moto:
    """The server with an empty account and nothing in its log."""
    server.fault("reset")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return server


@pytest.fixture
def aws(moto: Moto) -> iot_api.Aws:
    """A client of ours on moto, without pauses."""
    return iot_api.connect(REGION, rate=0)


@pytest.fixture
def contract() -> Iterator[Contract]:
    """An account of which each request and answer is held against AWS's model."""
    made = Contract()
    yield made
    made.done()


PRODUCT = """\
# The weather station, as it is built.
product: weather-station
board: esp32-generic      # the small one
cloud:
  region: us-west-2   # to be replaced
  endpoint: old-ats.iot.us-west-2.amazonaws.com  # by twinroot
identity: {certificate: "devices/{device}.crt.pem", key: "devices/{device}.key.pem"}
"""


@pytest.fixture
def product(tmp_path: Path) -> Path:
    file = tmp_path / "product.yaml"
    file.write_text(PRODUCT)
    return file
