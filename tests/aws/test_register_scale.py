"""`twinroot aws register` of many devices: several at a time, within AWS's limits, over HTTPS, whatever gets lost on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.aws import iot_api
from provisioning.aws.journal import Journal
from provisioning.aws.pace import Pace, allowed
from provisioning.aws.parallel import WORKERS, each
from provisioning.cli.main import run
from provisioning.errors import StationError
from tests.aws.test_register import devices
from tests.support.aws_registry import QUOTAS, Registry

LATENCY = (0.05, 0.15)  # seconds: AWS from a computer on the same continent
FOUR = ("CreateThing", "CreateCertificateFromCsr", "AttachPolicy", "AttachThingPrincipal")


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Registry]]:
    opened = []
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))

    def make(*arguments: Any, **options: Any) -> Registry:
        made = Registry(tmp_path, *arguments, **options)
        opened.append(made)
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        return made

    yield make
    for each_ in opened:
        each_.close()
        assert not each_.wrong, each_.wrong[:5]


def arguments(product: Path, csv: Path, *more: str) -> list[str]:
    return ["aws", "register", str(product), "--devices", str(csv), "--region", "us-east-1", "--json", *more]


def assert_whole(account: Registry, folder: Path, count: int) -> None:
    """A thing and a certificate for each device, one to one, each with the policy, and the files here are theirs."""
    assert len(account.things) == len(account.certificates) == count
    assert sorted(arn.rpartition("/")[2] for tied in account.things.values() for arn in tied) == sorted(account.certificates)
    assert all(account.attached[number] == {"twinroot-weather-station"} for number in account.certificates)
    for thing, tied in account.things.items():
        assert (folder / f"devices/{thing}.crt.pem").read_text() == account.certificates[tied[0].rpartition("/")[2]]["certificatePem"]


def test_many_at_a_time_and_in_order(registry: Callable[..., Registry], product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    account = registry((0.1, 0.1))
    csv = devices(product.parent, 49)
    begin = time.monotonic()
    assert run(arguments(product, csv, "--rate", "0")) == 0
    seconds = time.monotonic() - begin
    rows = json.loads(capsys.readouterr().out)["devices"]
    assert [row["device"] for row in rows] == [f"ws-{n:04}" for n in range(1, 50)]
    assert_whole(account, product.parent, 49)
    assert all(account.requests[name] == 49 for name in FOUR)
    assert seconds < 49 * 4 * 0.1 / 2, "as slow as one after another"


def test_throttled_and_half_of_the_answers_lost(
    registry: Callable[..., Registry], product: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iot_api, "_BACKOFF", 0.02)  # seconds; 0.5 otherwise
    account = registry(lost=0.5)
    account.burst.update(dict.fromkeys(FOUR, 4))
    csv = devices(product.parent, 20)
    for _ in range(10):
        if run(arguments(product, csv, "--rate", "0")) == 0:
            break
        assert json.loads(capsys.readouterr().out)["code"] in ("no-network", "answer-lost")
    assert_whole(account, product.parent, 20)
    assert account.requests["CreateCertificateFromCsr"] - account.throttled["CreateCertificateFromCsr"] == 20
    assert sum(account.throttled.values()) == 16


@pytest.mark.skipif(os.name == "nt", reason="SIGINT to another process")
def test_control_c_ends_it_soon_and_nothing_is_lost(registry: Callable[..., Registry], product: Path) -> None:
    account = registry((0.1, 0.2))
    csv = devices(product.parent, 40)
    argv = [sys.executable, "-m", "provisioning", *arguments(product, csv, "--rate", "0")]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with account.lock:
        assert account.made.wait_for(lambda: len(account.certificates) >= 8, 60)
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    shown, _ = process.communicate(timeout=20)
    assert process.returncode == 130 and json.loads(shown)["code"] == "interrupted"
    assert time.monotonic() - begin < 5
    assert len(account.things) < 40 and not any(account.requests[n] > 40 for n in FOUR)
    before = dict(account.requests)
    assert run(arguments(product, csv, "--rate", "0")) == 0
    assert_whole(account, product.parent, 40)
    assert all(account.requests[name] <= 40 for name in FOUR), f"something was asked twice: {before}, {account.requests}"


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [500, 2000])
def test_devices_a_second_within_the_quotas(registry: Callable[..., Registry], product: Path, count: int) -> None:
    account = registry(LATENCY, quotas=True)
    csv = devices(product.parent, count)
    argv = [sys.executable, "-m", "provisioning", *arguments(product, csv)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=550)
    assert_whole(account, product.parent, count)
    speed = (count - 1) / (account.when[-1] - account.when[0])
    print(f"{count} devices: {speed:.1f} a second, {sum(account.throttled.values())} throttled")
    assert speed >= 10 and not account.throttled


def test_the_pace_is_ten_devices_a_second_and_below_every_quota() -> None:
    names = {"CreateThing": "create_thing", "CreateCertificateFromCsr": "create_certificate_from_csr"}
    names |= {"AttachPolicy": "attach_policy", "AttachThingPrincipal": "attach_thing_principal"}
    for operation, name in names.items():
        assert 10 <= allowed(name) < QUOTAS[operation]
    slept: list[float] = []
    pace = Pace(sleep=slept.append)
    for _ in range(12 * WORKERS):
        pace.wait("create_thing")
    assert slept[-1] == pytest.approx(WORKERS - 1 / 12, abs=0.5)
    for _ in range(WORKERS):  # throttled together: slower once
        pace.throttled("create_thing")
    pace.wait("create_thing")
    pace.wait("create_thing")
    assert slept[-1] - slept[-2] == pytest.approx(2 / 12, abs=0.05)


def test_work_in_flight_is_bounded() -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for n in range(500):
            read.append(n)
            yield n

    results = each(lambda n: n, items(), 4)
    assert next(results) == 0 and len(read) <= 8
    assert list(results) == list(range(1, 500))


@pytest.mark.parametrize("count", [5_000, pytest.param(50_000, marks=pytest.mark.long)])
def test_a_journal_of_50000_devices_is_read_at_once(tmp_path: Path, count: int) -> None:
    """Lines as every release wrote them."""
    file = tmp_path / "j"
    with file.open("w") as stream:
        for n in range(count):
            for step in ('"thing"', '"request","at":1767225600', f'"certificate","id":"{n:064x}","arn":"arn:aws:iot:x:1:cert/{n:064x}"'):
                stream.write(f'{{"device":"ws-{n:05}","step":{step}}}\n')
            stream.write(f'{{"device":"ws-{n:05}","step":"policy"}}\n{{"device":"ws-{n:05}","step":"done"}}\n')
    begin = time.process_time()
    with Journal(file) as journal:
        assert time.process_time() - begin < count / 5_000  # 1 s for 50,000 on a quiet computer
        last = journal.of(f"ws-{count - 1:05}")
        assert last["certificate"]["id"] == f"{count - 1:064x}" and "done" in last
        assert journal.of("ws-1") == {}
        journal.add("ws-1", "thing")
    with Journal(file) as journal:
        assert list(journal.of("ws-1")) == ["thing"] and len(journal.ids()) == count


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is full")
def test_a_disk_that_is_full_ends_the_run(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.add("ws-1", "thing")
        with open("/dev/full", "ab", buffering=0) as full:
            whole, journal._stream = journal._stream, full
            for _ in range(2):
                with pytest.raises(StationError, match="cannot be written: No space left"):
                    journal.add("ws-2", "thing")
            journal._stream = whole
        with pytest.raises(StationError):  # the line before may be there in part
            journal.add("ws-3", "thing")
    with Journal(tmp_path / "j") as journal:
        assert journal.of("ws-2") == {} and "thing" in journal.of("ws-1")
