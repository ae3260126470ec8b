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

    def requests(self, *operations: str) -> list[dict[str, Any]]:
        rows = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return [r for r in rows if not operations or r["operation"] in operations]

    def iot(self) -> Any:
        """A client of boto3's own, to look at what is there."""
        import boto3

        return boto3.client("iot", region_name=REGION, endpoint_url=self.url)

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
