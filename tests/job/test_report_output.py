"""What people see of a report: results on standard output, a failure once and on standard error, one JSON object in any case."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provisioning.cli._port import text_of
from provisioning.cli.main import run
from provisioning.job.report import Report
from tests.job.conftest import Bench

SENTENCE = "There is no port /dev/ttyUSB77."


def test_a_failure_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "--port", "/dev/ttyUSB77"]) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count(SENTENCE) == 1
    assert "\n  next: " in told.err


def test_a_failure_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "--port", "/dev/ttyUSB77", "--json"]) == 3
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert (report["code"], report["message"], report["written"]) == ("port-not-found", SENTENCE, [])
    assert told.err.count(SENTENCE) == 1


@pytest.mark.parametrize("rate", ["0", "-9600", "fast"])
def test_a_rate_that_is_none(rate: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["update", str(tmp_path / "product.yaml"), "--port", "auto", "--baud", rate]) == 2
    told = capsys.readouterr()
    assert told.out == "" and "--baud" in told.err


def test_a_dry_run_says_would(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    product = bench.product()
    options = ["update", str(product.source), "--port", bench.port, "--device", "ws-0001"]
    assert run([*options, "--dry-run"]) == 0
    told = capsys.readouterr()
    assert "would be written" in told.out and " files would be written" in told.out
    assert run(options) == 0
    assert "would" not in capsys.readouterr().out


def test_a_report_without_counts() -> None:
    """A flash run that breaks off before the board boots knows no bytes yet."""
    report = Report(transport="esptool", mac="24:0a:c4:00:00:01", wire={"seconds": 1.0})
    assert "24:0a:c4:00:00:01" in text_of(report)
