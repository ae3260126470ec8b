"""`twinroot sign job`: what it writes is what a device takes, asked for or sent round and round."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.errors import InputError
from provisioning.ota import job_document as made
from tests.device.jail import Board
from tests.device.test_jobs import APP, Jobs
from tests.device.test_ota import Fleet, container
from tests.device.test_sign import at


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with Fleet(tmp_path / "fleet") as fleet:
        yield Jobs(fleet)


def signed(folder: Path, data: bytes, *more: str) -> Any:
    (folder / "update.bin").write_bytes(data)
    return at(folder, "sign", "job", "update.bin", "--out", "job", "--json", *more)


def succeeded(jobs: Jobs) -> None:
    out = Board(jobs.fleet.folder, jobs.tree()).run(APP % "other").json
    assert (out["set"], out["kinds"]) == (2, [])
    assert jobs.cloud.status["j1"] == ["QUEUED", "IN_PROGRESS", "SUCCEEDED"]


def test_the_set_in_the_document(jobs: Jobs, tmp_path: Path) -> None:
    done = signed(tmp_path, jobs.small())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"] == 2
    assert "create-job --job-id test-2" in done.stderr
    assert [p.name for p in (tmp_path / "job").iterdir()] == ["job.json"]
    jobs.cloud.jobs["j1"] = json.loads((tmp_path / "job" / "job.json").read_text())
    succeeded(jobs)


def test_chunks_that_are_asked_for(jobs: Jobs, tmp_path: Path) -> None:
    data = container(jobs.next_set(), 2)
    done = signed(tmp_path, data, "--topic", "updates/2")
    assert done.returncode == 0, done.stderr
    files = sorted((tmp_path / "job" / "chunks").iterdir())
    assert [str(f) for f in files] == [str(tmp_path / f) for f in json.loads(done.stdout)["chunks"]]
    by_offset = {int(f.stem): f.read_bytes() for f in files}
    assert b"".join(payload.partition(b":")[2] for payload in by_offset.values()) == data
    jobs.cloud.jobs["j1"] = json.loads((tmp_path / "job" / "job.json").read_text())

    def answer(tls: ssl.SSLSocket, topic: str, offset: int) -> bool:
        jobs.cloud.send(tls, topic.removesuffix("/get"), by_offset[offset])
        return True

    jobs.cloud.chunk = answer  # type: ignore[method-assign]
    succeeded(jobs)


def test_chunks_sent_round_and_round(jobs: Jobs, tmp_path: Path) -> None:
    """Nothing answers the device: every chunk is published in order, again and again, and the device has joined in the middle."""
    done = signed(tmp_path, container(jobs.next_set(), 2), "--topic", "updates/2")
    assert done.returncode == 0, done.stderr
    payloads = [f.read_bytes() for f in sorted((tmp_path / "job" / "chunks").iterdir())]
    jobs.cloud.jobs["j1"] = json.loads((tmp_path / "job" / "job.json").read_text())
    middle = len(payloads) // 2
    sent = iter(payloads[middle:] + payloads)

    def answer(tls: ssl.SSLSocket, topic: str, offset: int) -> bool:
        if offset == 0:
            for payload in sent:
                jobs.cloud.send(tls, "updates/2", payload)
        return True

    jobs.cloud.chunk = answer  # type: ignore[method-assign]
    succeeded(jobs)


def test_mistakes_are_sentences(jobs: Jobs, tmp_path: Path) -> None:
    good = jobs.small()
    for data, more, code in (
        (b"", (), "no-signed-set"),
        (b"PK\3\4", (), "no-signed-set"),
        (good[:-1], (), "no-signed-set"),
        (good + b"x", (), "no-signed-set"),
        (good[:12], (), "no-signed-set"),
        (good, ("--topic", "updates/#"), "bad-topic"),
        (good, ("--topic", ""), "bad-topic"),
        (good, ("--topic", "$aws/x"), "bad-topic"),
        (good, ("--topic", "x" * 253), "bad-topic"),
    ):
        done = signed(tmp_path, data, *more)
        assert (done.returncode, json.loads(done.stdout)["code"]) == (2, code), done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "job").exists()
    assert at(tmp_path, "sign", "job", "nowhere.bin", "--out", "job").returncode == 2
    (tmp_path / "job").mkdir()
    assert json.loads(signed(tmp_path, good).stdout)["code"] == "folder-exists"


def test_a_set_too_large_for_a_document(monkeypatch: pytest.MonkeyPatch, jobs: Jobs) -> None:
    data = jobs.small()
    size = len(made.document(data))
    monkeypatch.setattr(made, "LIMIT", size)
    made.document(data)
    monkeypatch.setattr(made, "LIMIT", size - 1)
    with pytest.raises(InputError, match="AWS IoT takes"):
        made.document(data)
    assert json.loads(made.document(data, "updates/2")) == {"twinroot": {"version": 2, "topic": "updates/2"}}
