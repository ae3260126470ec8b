"""A signed set in an AWS IoT job: firmware/twinroot/jobs.py against the device's side of AWS IoT Jobs (aws_jobs.py), over TLS."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.aws.topics import policy_document
from tests.device import sets
from tests.device.aws_jobs import Cloud
from tests.device.jail import Board
from tests.device.test_ota import Fleet, Key, container, corrupt
from tests.device.test_sets import PROVEN_1, TIME
from tests.device.virtual import Virtual, read
from tests.device.world import ATS
from tests.support import pki
from tests.support.iot_policy import denied

# An application: connects until all jobs have ended; what it saw of the rest is printed.
APP = """
import json, sys, twinroot
twinroot.core.CONFIRM_MS = 0
assert "twinroot.jobs" not in sys.modules and "twinroot.ota" not in sys.modules
seen, kinds = [], []
def other(topic, message):
    seen.append(str(topic, "utf-8"))
for i in range(8):
    try:
        client = twinroot.mqtt()
        jobs = twinroot.jobs.Jobs(client, %s)
        while "end" not in seen and not jobs.done:
            client.wait_msg()
    except OSError as e:
        kinds.append(getattr(e, "kind", "lost"))
        twinroot.fallback.wait = lambda *_: 0  # the back-off is not this suite's
        twinroot.core._next = None
        continue
    if "end" in seen:
        break
    twinroot.ota.restart()
    twinroot.core.CONFIRM_MS = 0
print(json.dumps({"set": twinroot.SET, "active": twinroot.slots.active(), "kinds": kinds, "seen": seen}))
"""


UNUSED = (
    "renewal",
    "adapter",
    "ntp",
    "telemetry",
    "wifi",
    "trial",
    "verify",
    "classify",
    "failing",
    "fallback",
    "streams",
    "check",
    "chain",
    "incoming",
    "image",
    "app",
)  # by an application that meets no failure


LARGE = 20_000


class Jobs:
    """A fleet whose ATS endpoint is a Cloud."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.cloud = fleet, Cloud()
        world = fleet.world
        fleet.ats.behaviour = self.cloud.behaviour(world.context(ATS, world.ats))

    def next_set(self, number: int = 2, *without: str) -> dict[str, bytes]:
        change = dict.fromkeys(f"{m}.mpy" for m in without)
        return self.fleet.world.build(number, self.fleet.ats.address, self.fleet.legacy.address, change=change)

    def large_set(self) -> dict[str, bytes]:
        """With something of LARGE bytes in its package that a board has not."""
        more = {"extra.mpy": random.Random(7).randbytes(LARGE)}
        return self.fleet.world.build(2, self.fleet.ats.address, self.fleet.legacy.address, change=more)

    def small(self, signer: Key | None = None) -> bytes:
        """A container that fits into a job document: without modules that this application does not use."""
        return container(self.next_set(2, *UNUSED), 2, signer)

    def tree(self) -> dict[str, bytes]:
        return sets.board(1, self.fleet.old) | PROVEN_1

    def run(self, other: str = "other") -> Any:
        out = Board(self.fleet.folder, self.tree()).run(APP % other).json
        assert not self.fleet.ats.errors, self.fleet.ats.errors
        assert not denied(policy_document("us-east-1", "aws"), self.cloud.packets, "t-1")
        return out


def topic(data: bytes, cloud: Cloud, version: int = 2) -> dict[str, Any]:
    cloud.chunks[f"updates/{version}"] = data
    return {"operation": "set", "twinroot": {"version": version, "topic": f"updates/{version}"}}


def stream(data: bytes, cloud: Cloud, version: int = 2, **change: Any) -> dict[str, Any]:
    cloud.streams["s-1"] = {3: data}
    return {"twinroot": {"version": version, "stream": "s-1", "file": 3, "size": len(data), **change}}


def parts(data: bytes, size: int = 1500, version: int = 2) -> dict[str, Any]:
    return {"twinroot": {"version": version, "parts": [base64.b64encode(data[i : i + size]).decode() for i in range(0, len(data), size)]}}


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with Fleet(tmp_path) as fleet:
        yield Jobs(fleet)


def test_a_set_from_a_topic(jobs: Jobs) -> None:
    jobs.cloud.jobs["j1"] = topic(container(jobs.next_set(), 2), jobs.cloud)
    out = jobs.run()
    assert (out["set"], out["active"], out["kinds"]) == (2, 2, [])
    assert jobs.cloud.status == {"j1": ["QUEUED", "IN_PROGRESS", "SUCCEEDED"]}
    assert jobs.cloud.why["j1"] == "set 2"
    assert jobs.fleet.ats.count == 2, "it ends over a connection of the new set"


def test_a_set_from_a_stream(jobs: Jobs) -> None:
    """AWS IoT's own way for what does not fit into a document."""
    jobs.cloud.jobs["j1"] = stream(container(jobs.large_set(), 2), jobs.cloud)
    out = jobs.run()
    assert (out["set"], out["active"], out["kinds"]) == (2, 2, [])
    assert jobs.cloud.status == {"j1": ["QUEUED", "IN_PROGRESS", "SUCCEEDED"]}
    assert LARGE < jobs.cloud.sent < LARGE + 3 * 2048


def test_a_set_in_the_document(jobs: Jobs) -> None:
    jobs.cloud.jobs["j1"] = parts(jobs.small())
    assert jobs.run()["set"] == 2
    assert jobs.cloud.status["j1"] == ["QUEUED", "IN_PROGRESS", "SUCCEEDED"]


def test_a_job_that_is_made_while_the_device_listens(jobs: Jobs) -> None:
    jobs.cloud.later["j1"] = topic(container(jobs.next_set(), 2), jobs.cloud)
    assert jobs.run()["set"] == 2
    assert jobs.cloud.status["j1"] == ["QUEUED", "IN_PROGRESS", "SUCCEEDED"]


@pytest.mark.parametrize("carrier", [topic, stream])
def test_a_connection_lost_on_the_way(jobs: Jobs, carrier: Any) -> None:
    """It goes on with the byte where it stopped."""
    cloud = jobs.cloud
    cloud.jobs["j1"] = carrier(container(jobs.large_set(), 2), cloud)
    cloud.lose = {1, 9, 20} if carrier is topic else {1, 3, 5}
    out = jobs.run()
    assert (out["set"], len(out["kinds"])) == (2, 3)
    assert cloud.status["j1"] == ["QUEUED", "IN_PROGRESS", "SUCCEEDED"]
    assert LARGE < cloud.sent < LARGE + 8 * 2048, "what has come does not come again, but for blocks that were on the way"


HOURS = """
import json, twinroot
seen, states = [], []
client = twinroot.mqtt()
jobs = twinroot.jobs.Jobs(client, lambda t, m: seen.append(t))
while not jobs.done:
    client.wait_msg()
twinroot.ota.restart()
while not seen:  # an hour passes, and the application connects again
    client = twinroot.mqtt()
    states.append([twinroot.SET, twinroot.slots.active()])
    jobs = twinroot.jobs.Jobs(client, lambda t, m: seen.append(t))
    assert not jobs.done
    client.wait_msg()
    while not seen and twinroot.slots.active() == 1:
        client.wait_msg()
    client.disconnect()
    utime.skew += 3700
print(json.dumps(states))
"""


def test_a_set_that_cannot_connect_fails_its_job(jobs: Jobs) -> None:
    """It is in progress for as long as the set is on trial, and is not taken a second time; FAILED when it has been rolled back."""
    nobody = pki.root("Nobody")
    moved = jobs.fleet.moved
    moved.ats = moved.legacy = nobody
    bad = moved.build(2, jobs.fleet.ats.address, jobs.fleet.legacy.address)
    jobs.cloud.jobs["j1"] = topic(container(bad, 2), jobs.cloud)
    states = Board(jobs.fleet.folder, jobs.tree()).run(TIME + HOURS, timeout=50).json
    assert states == [[1, 2]] * 4 + [[1, 1]]
    assert jobs.cloud.status["j1"] == ["QUEUED", "IN_PROGRESS", *["IN_PROGRESS"] * 4, "FAILED"]
    assert jobs.cloud.why["j1"] == f"update refused (version 2 was rolled back). {ANEW}", "the same set again would be refused, too"


# What a person can do, as a device says it.
ANEW = "Sign a higher version for it: twinroot sign"
JOB = "Make the job anew"
KEY = "Sign it with its vendor's key"
AGAIN = "Offer it again"
STREAM = "Check stream and policy"


def test_what_fails_says_why_and_what_to_do_and_the_next_job_is_taken(jobs: Jobs) -> None:
    good = jobs.small()
    cloud = jobs.cloud
    [package] = [data for path, data in jobs.next_set(2, *UNUSED).items() if path.startswith("/lib/twinroot/") and path[-12:].isalnum()]
    content = good.index(package) + 3  # in its index: what the board has of the rest does not come
    cases: dict[str, tuple[Any, str, str]] = {
        "signature": (parts(corrupt(good, 20)), "signature", KEY),
        "stranger": (parts(jobs.small(Key())), "signature", KEY),
        "topic": ({"twinroot": {"version": 2, "topic": "updates/bent"}}, "signature", KEY),
        "content": (parts(corrupt(good, content)), "ValueError", AGAIN),
        "cut": (parts(good[:300]), "incomplete", JOB),
        "other version": (parts(good, version=3), "version 2 in a job for 3", JOB),
        "older": (parts(good, version=0), "version 0 is not newer", ANEW),
        "expired": (parts(container(jobs.next_set(2, *UNUSED), 2, expires=1)), "expired", ANEW),
        "for another": (parts(container(jobs.next_set(2, *UNUSED), 2, device="t-2")), "for another product or device", ANEW),
        "no base64": ({"twinroot": {"version": 2, "parts": ["A"]}}, "ValueError", JOB),
        "nothing": ({"twinroot": {"version": 2}}, "KeyError", JOB),
        "no version": ({"twinroot": {"parts": []}}, "KeyError", JOB),
        "no object": ({"twinroot": 5}, "TypeError", JOB),
        "no topic": ({"twinroot": {"version": 2, "topic": "updates/#"}}, "no topic: updates/#", JOB),
        "no such stream": ({"twinroot": {"version": 2, "stream": "gone", "file": 3, "size": 9000}}, "StreamNotFound", STREAM),
        "no such file": (stream(good, cloud, file=4), "FileNotFound", STREAM),
        "a stream without a size": ({"twinroot": {"version": 2, "stream": "s-1", "file": 3}}, "KeyError", JOB),
        "a stream of an odd name": (stream(good, cloud, stream="#"), "no stream", JOB),
    }
    cloud.chunks["updates/bent"] = corrupt(good, 20)
    cloud.jobs = {name: document for name, (document, *_) in cases.items()} | {"last": parts(good)}
    assert jobs.run()["set"] == 2
    for name, (_, reason, then) in cases.items():
        why = cloud.why[name]
        assert cloud.status[name][-1] == "FAILED" and why.startswith("update refused (") and reason in why, (name, why)
        assert why.endswith(f"). {then}"), (name, why)
    assert cloud.status["last"][-1] == "SUCCEEDED"


def test_a_job_mends_a_board_whose_active_set_cannot_be_read(jobs: Jobs) -> None:
    """An older one stands in, over which the next version comes."""
    jobs.cloud.jobs["j1"] = topic(container(jobs.next_set(3), 3, info={"version": 3}), jobs.cloud, 3)
    damaged = {"/trust/2/set.json": b'{"package": 5}', "/trust/active": b"2"}
    out = Board(jobs.fleet.folder, jobs.tree() | damaged).run(APP % "other").json
    assert (out["set"], out["active"]) == (2, 2), "in place of the damaged one"
    assert jobs.cloud.status["j1"] == ["QUEUED", "IN_PROGRESS", "SUCCEEDED"], jobs.cloud.why


OTHERS = """
def other(topic, message):
    seen.append(str(topic, "utf-8"))
    if b"reboot" in message:
        client.publish("$aws/things/t-1/jobs/reboot/update", '{"status": "SUCCEEDED", "statusDetails": {"why": "done"}}')
"""


def test_jobs_of_others(jobs: Jobs) -> None:
    """Handed on to the application, which ends them."""
    jobs.cloud.jobs = {"reboot": {"operation": "reboot"}, "j2": topic(container(jobs.next_set(), 2), jobs.cloud)}
    script = (APP % "other").replace("for i in range(8):", f"{OTHERS}for i in range(8):")
    out = Board(jobs.fleet.folder, jobs.tree()).run(script).json
    assert out["set"] == 2
    assert [jobs.cloud.status[n][-1] for n in ("reboot", "j2")] == ["SUCCEEDED", "SUCCEEDED"]


def test_jobs_without_a_document(jobs: Jobs) -> None:
    """Rejected where the application takes none; the set behind it is taken."""
    jobs.cloud.jobs = {"reboot": {"operation": "reboot"}, "j2": topic(container(jobs.next_set(), 2), jobs.cloud)}
    out = Board(jobs.fleet.folder, jobs.tree()).run((APP % "None").replace("range(8)", "range(1)")).json
    assert (out["active"], out["kinds"]) == (2, [])
    assert [jobs.cloud.status[n][-1] for n in ("reboot", "j2")] == ["REJECTED", "IN_PROGRESS"]


def test_on_the_virtual_board(tmp_path: Path, jobs: Jobs, make_virtual_board: Any) -> None:
    """The same with umqtt.simple, whose callbacks and waits are nested here."""
    jobs.cloud.jobs["j1"] = topic(container(jobs.next_set(), 2), jobs.cloud)
    board = make_virtual_board(paced=False, clock="host")
    device = Virtual(board)
    device.put(jobs.tree())
    out = json.loads(device.lines(APP % "other")[-1])
    assert (out["set"], out["kinds"]) == (2, []), out
    assert jobs.cloud.status["j1"] == ["QUEUED", "IN_PROGRESS", "SUCCEEDED"]
    assert read(board)["/trust/active"] == b"2"


def test_in_128_kb_of_heap(jobs: Jobs) -> None:
    """On the 64-bit build, with every module that this needs loaded."""
    jobs.cloud.jobs["j1"] = topic(container(jobs.next_set(), 2), jobs.cloud)
    done = Board(jobs.fleet.folder, jobs.tree()).run(APP % "other", heap="128K")
    assert done.json["set"] == 2
