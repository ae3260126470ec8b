"""`twinroot aws register`: idempotent, resumable wherever it is killed, and honest about what is in the way."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from provisioning.aws import iot_api
from provisioning.aws.journal import Journal
from provisioning.aws.parallel import WORKERS
from provisioning.cli.main import run
from tests.aws.conftest import Moto
from tests.support.iot_policy import allows

MAKING = ("CreateThing", "CreateCertificateFromCsr", "AttachPolicy", "AttachThingPrincipal", "CreatePolicy")
SEED = 20260701


def devices(folder: Path, count: int) -> Path:
    file = folder / "devices.csv"
    file.write_text("device\n" + "".join(f"ws-{n:04}\n" for n in range(1, count + 1)))
    return file


def register(product: Path, *arguments: str) -> int:
    return run(["aws", "register", str(product), "--rate", "0", "--region", "us-east-1", "--json", *arguments])


def report(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def state(moto: Moto) -> tuple[list[str], list[dict[str, Any]], dict[str, list[str]]]:
    """Things, certificates, and the certificates of each thing."""
    iot = moto.iot()
    things, token = [], {}
    while True:
        page = iot.list_things(maxResults=250, **token)
        things += [t["thingName"] for t in page["things"]]
        if not page.get("nextToken"):
            break
        token = {"nextToken": page["nextToken"]}
    certificates, marker = [], {}
    while True:
        page = iot.list_certificates(pageSize=250, **marker)
        certificates += page["certificates"]
        if not page.get("nextMarker"):
            break
        marker = {"marker": page["nextMarker"]}
    return things, certificates, {t: iot.list_thing_principals(thingName=t)["principals"] for t in things}


def assert_whole(moto: Moto, folder: Path, count: int) -> None:
    """Exactly `count` things and certificates, one to one, none orphaned, and the files here are theirs."""
    things, certificates, ties = state(moto)
    assert len(things) == len(set(things)) == count
    assert len(certificates) == count
    arns = {c["certificateArn"]: c["certificateId"] for c in certificates}
    assert sorted(arn for tied in ties.values() for arn in tied) == sorted(arns)
    for thing, tied in ties.items():
        assert len(tied) == 1
        own = x509.load_pem_x509_certificate((folder / f"devices/{thing}.crt.pem").read_bytes())
        key = folder / f"devices/{thing}.key.pem"
        assert own.fingerprint(__import__("cryptography.hazmat.primitives.hashes", fromlist=["x"]).SHA256()).hex() == arns[tied[0]]
        assert own.subject.rfc4514_string() == f"CN={thing}"
        if os.name == "posix":
            assert key.stat().st_mode & 0o777 == 0o600


def test_a_device_gets_thing_certificate_policy_and_ties_once(moto: Moto, product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert register(product, "--device", "ws-0001") == 0
    row = report(capsys)["devices"][0]
    assert row["done"] == ["thing", "certificate", "policy", "attached"]
    assert_whole(moto, product.parent, 1)
    [certificate] = state(moto)[1]
    assert certificate["status"] == "ACTIVE" and row["certificate"] == certificate["certificateId"]
    assert (
        moto.iot().list_attached_policies(target=certificate["certificateArn"])["policies"][0]["policyName"] == "twinroot-weather-station"
    )
    policy = json.loads(moto.iot().get_policy(policyName="twinroot-weather-station")["policyDocument"])
    for action, resource in (("Connect", "client/"), ("Publish", "topic/devices/"), ("Subscribe", "topicfilter/devices/")):
        mine, other = (f"{resource}{name}{'/x' if '/dev' in resource else ''}" for name in ("ws-0001", "ws-0002"))
        assert allows(policy, f"iot:{action}", mine, "ws-0001") and not allows(policy, f"iot:{action}", other, "ws-0001")
    before = len(moto.requests(*MAKING))
    assert register(product, "--device", "ws-0001") == 0
    assert report(capsys)["devices"][0]["done"] == []
    assert len(moto.requests(*MAKING)) == before
    # The pair fits: what `twinroot update` will ask.
    from provisioning.identity.pair import load_pair

    load_pair(product.parent / "devices/ws-0001.crt.pem", product.parent / "devices/ws-0001.key.pem")


def test_no_private_key_leaves_and_none_is_printed(moto: Moto, product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert register(product, "--devices", str(devices(product.parent, 2))) == 0
    shown = capsys.readouterr()
    for key in (product.parent / "devices").glob("*.key.pem"):
        secret = key.read_text().splitlines()[1]
        for place in (shown.out, shown.err, moto.log.read_text(), (product.parent / "product.aws.jsonl").read_text()):
            assert secret not in place and "PRIVATE" not in place


def test_a_dry_run_asks_and_changes_nothing(moto: Moto, product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csv = devices(product.parent, 3)
    assert register(product, "--devices", str(csv), "--dry-run") == 0
    rows = report(capsys)["devices"]
    assert [r["done"] for r in rows] == [["make the thing", "make the certificate", "attach the policy", "attach the thing"]] * 3
    assert moto.requests(*MAKING) == [] and not (product.parent / "devices").exists()
    assert register(product, "--device", "ws-0002") == 0
    capsys.readouterr()
    assert register(product, "--devices", str(csv), "--dry-run") == 0
    assert [bool(r["done"]) for r in report(capsys)["devices"]] == [True, False, True]


@pytest.mark.parametrize("fault", [*(f"drop {m}" for m in MAKING), "stall CreateCertificateFromCsr", "stall AttachPolicy"])
def test_a_lost_answer_makes_nothing_twice(
    moto: Moto, product: Path, fault: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iot_api, "READ_TIMEOUT", 1.0)
    moto.fault(fault)
    csv = str(devices(product.parent, 3))
    while register(product, "--devices", csv) != 0:
        capsys.readouterr()
        assert len(moto.requests()) < 100
    assert_whole(moto, product.parent, 3)
    assert len(moto.requests("CreateCertificateFromCsr")) == 3


def test_throttling_and_server_errors_are_waited_out(moto: Moto, product: Path) -> None:
    moto.fault("throttle CreateCertificateFromCsr 1")
    moto.fault("throttle CreateThing 1")
    assert register(product, "--device", "ws-0001") == 0
    assert_whole(moto, product.parent, 1)


def test_a_lost_journal_is_found_out_from_aws(moto: Moto, product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csv = str(devices(product.parent, 3))
    assert register(product, "--devices", csv) == 0
    (product.parent / "product.aws.jsonl").unlink()
    (product.parent / "devices/ws-0002.crt.pem").unlink()
    made = len(moto.requests("CreateCertificateFromCsr", "CreateThing"))
    assert register(product, "--devices", csv) == 0
    assert len(moto.requests("CreateCertificateFromCsr", "CreateThing")) == made
    assert_whole(moto, product.parent, 3)


def test_a_lost_certificate_file_is_fetched_again(moto: Moto, product: Path) -> None:
    assert register(product, "--device", "ws-0001") == 0
    (product.parent / "devices/ws-0001.crt.pem").unlink()
    assert register(product, "--device", "ws-0001") == 0
    assert_whole(moto, product.parent, 1)


def test_a_key_that_was_removed_after_its_device_had_it_is_not_made_again(
    moto: Moto, product: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert register(product, "--device", "ws-0001") == 0
    key, certificate = product.parent / "devices/ws-0001.key.pem", product.parent / "devices/ws-0001.crt.pem"
    key.unlink()
    assert register(product, "--device", "ws-0001") == 0
    (product.parent / "product.aws.jsonl").unlink()
    assert register(product, "--device", "ws-0001") == 0
    assert not key.exists() and len(state(moto)[1]) == 1
    (product.parent / "product.aws.jsonl").unlink()
    certificate.rename(product.parent / "devices/ws-0002.crt.pem")  # a certificate of another device, without a key
    capsys.readouterr()
    assert register(product, "--device", "ws-0002") == 2
    assert "names 'ws-0001', and the device is ws-0002" in report(capsys)["devices"][0]["message"]
    assert len(moto.requests("CreateCertificateFromCsr")) == 1


def test_a_name_that_another_key_has_is_refused_and_the_others_go_on(moto: Moto, product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert register(product, "--device", "ws-0001") == 0
    (product.parent / "product.aws.jsonl").unlink()
    (product.parent / "devices/ws-0001.key.pem").unlink()
    (product.parent / "devices/ws-0001.crt.pem").unlink()
    capsys.readouterr()
    assert register(product, "--devices", str(devices(product.parent, 2))) == 2
    first, second = report(capsys)["devices"]
    assert first["outcome"] == "error" and "has a certificate already" in first["message"] and second["outcome"] == "pass"
    assert len(state(moto)[1]) == 2


def test_a_damaged_key_file_a_torn_journal_and_a_foreign_one(moto: Moto, product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (product.parent / "devices").mkdir()
    (product.parent / "devices/ws-0001.key.pem").write_text("not a key")
    assert register(product, "--device", "ws-0001") == 2
    assert "neither PEM nor DER" in report(capsys)["devices"][0]["message"]
    journal = product.parent / "product.aws.jsonl"
    (product.parent / "devices/ws-0001.key.pem").unlink()
    journal.write_bytes(b'{"device":"ws-0001","step":"thi')  # the power went in the middle of a line
    assert register(product, "--device", "ws-0001") == 0
    capsys.readouterr()
    journal.write_text("hello\n")
    assert register(product, "--device", "ws-0001") == 2
    assert report(capsys)["code"] == "bad-journal"


def test_no_permission_stops_at_once_and_nothing_is_lost(moto: Moto, product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moto.fault("error AttachPolicy 403 AccessDeniedException")
    csv = str(devices(product.parent, 3))
    assert register(product, "--devices", csv) == 3
    assert report(capsys)["code"] == "no-permission"
    assert len(moto.requests("CreateThing")) == 1
    moto.fault("clear")
    assert register(product, "--devices", csv) == 0
    assert_whole(moto, product.parent, 3)


def test_a_policy_that_is_named_must_be_there(moto: Moto, product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert register(product, "--device", "ws-0001", "--policy", "mine") == 2
    assert report(capsys)["code"] == "no-policy"
    moto.iot().create_policy(policyName="mine", policyDocument="{}")
    assert register(product, "--device", "ws-0001", "--policy", "mine") == 0


def test_what_never_began_leaves_nothing(
    moto: Moto, product: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(product.parent.rglob("*"))
    with monkeypatch.context() as patch:
        patch.delenv("AWS_ACCESS_KEY_ID")
        patch.delenv("AWS_SECRET_ACCESS_KEY")
        assert register(product, "--device", "ws-0001") == 3
    assert report(capsys)["code"] == "no-credentials"
    assert sorted(product.parent.rglob("*")) == before
    assert register(product, "--device", "ws-0001", "--dry-run") == 0
    assert not product.with_suffix(".aws.jsonl").exists()


def test_two_runs_at_once_are_one_too_many(moto: Moto, product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Journal(product.with_suffix(".aws.jsonl")):
        assert register(product, "--device", "ws-0001") == 3
        assert report(capsys)["code"] == "registration-busy"
        assert moto.requests() == []
    assert register(product, "--device", "ws-0001") == 0


def killed_and_run_again(moto: Moto, product: Path, count: int, kills: int) -> None:
    """Register, killed `kills` times without warning at random moments, then once more to the end."""
    rng = random.Random(SEED)
    csv = devices(product.parent, count)
    argv = [sys.executable, "-m", "provisioning", "aws", "register", str(product), "--devices", str(csv), "--rate", "0"]
    argv += ["--region", "us-east-1", "--json"]
    at = sorted(rng.randrange(10, 5 * count - 10) for _ in range(kills))
    for moment in at:
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        limit = time.monotonic() + 300
        while moto.log.stat().st_size < moment * 130 if moto.log.exists() else True:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < limit
            time.sleep(rng.uniform(0.001, 0.02))  # a random moment is the purpose
        process.kill()
        process.wait(10)
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=600)
    assert_whole(moto, product.parent, count)
    sent = Counter((r["operation"], r["path"], r["identity"]) for r in moto.requests(*MAKING))
    repeated = sum(n - 1 for n in sent.values())
    assert repeated <= kills * WORKERS, [k for k, n in sent.items() if n > 1]
    assert len(moto.requests("CreateCertificateFromCsr")) == count
    print(f"{count} devices, {kills} kills, {sum(sent.values())} changing requests, {repeated} repeated")


def test_60_devices_killed_five_times_are_60_devices(moto: Moto, product: Path) -> None:
    killed_and_run_again(moto, product, 60, 5)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_1000_devices_killed_five_times_are_1000_devices(moto: Moto, product: Path) -> None:
    killed_and_run_again(moto, product, 1000, 5)


@pytest.mark.parametrize("length", [64, 65, 128])
def test_long_client_ids(moto: Moto, product: Path, capsys: pytest.CaptureFixture[str], length: int) -> None:
    name = f"ws-{'x' * (length - 3)}"
    product.write_text(product.read_text() + 'client_id: "{thing}"\n')
    (product.parent / "devices.csv").write_text(f"device,thing\nws-0001,{name}\n")
    assert register(product, "--devices", str(product.parent / "devices.csv")) == 0, capsys.readouterr().err
    assert state(moto)[0] == [name]
    own = x509.load_pem_x509_certificate((product.parent / "devices/ws-0001.crt.pem").read_bytes())
    assert own.subject.rfc4514_string() == f"CN={name if length <= 64 else 'ws-0001'}"
    from provisioning.bundle.check import check_devices
    from provisioning.config.load import load_product

    assert list(check_devices(load_product(product), None, product.parent / "devices.csv")) == ["ws-0001"]


@pytest.mark.parametrize("thing", ["a.b", "a b", "a*", "a/b", "ä"])
def test_names_that_aws_refuses_make_nothing(moto: Moto, product: Path, capsys: pytest.CaptureFixture[str], thing: str) -> None:
    product.write_text(product.read_text() + 'client_id: "{thing}"\n')
    (product.parent / "devices.csv").write_text(f"device,thing\nws-0001,{thing}\n")
    for dry in ([], ["--dry-run"]):
        assert register(product, "--devices", str(product.parent / "devices.csv"), *dry) == 2
        assert "cannot be the name of a thing" in report(capsys)["devices"][0]["message"]
    assert not moto.requests("CreateThing") and not (product.parent / "devices").exists()


def test_a_dry_run_needs_no_credentials(
    moto: Moto, product: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert register(product, "--device", "ws-0001", "--dry-run") == 0
    said = report(capsys)
    assert said["devices"][0]["done"] == ["make the thing", "make the certificate", "attach the policy", "attach the thing"]
    assert said["requests"] == 0 and moto.requests() == []
    assert register(product, "--device", "ws-0001") == 3
    assert report(capsys)["code"] == "no-credentials"


def test_an_older_policy_is_left_and_said(moto: Moto, product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = json.dumps({"Version": "2012-10-17", "Statement": []})
    moto.iot().create_policy(policyName="twinroot-weather-station", policyDocument=old)
    assert register(product, "--device", "ws-0001") == 0
    assert "is not the one that this twinroot makes" in capsys.readouterr().err
    assert moto.iot().get_policy(policyName="twinroot-weather-station")["policyDocument"] == old
