"""The connection package itself on a real MicroPython takes signed sets by jobs of the stand-in's account, made and watched by boto3."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from provisioning.ota import signed_set
from provisioning.standin import StandIn, mqtt
from tests.device import sets
from tests.device.jail import Board
from tests.device.test_jobs import UNUSED
from tests.device.test_ota import container, vendor
from tests.device.test_sets import PROVEN_1
from tests.standin.account import arn, client
from tests.standin.conftest import Client
from tests.support.pki import Cert

SPARED = (*UNUSED, "image")  # so that it fits into a job document beside an RSA root

# Takes the set, begins to use it, and lets the job end: AWS's answers are the last word.
APP = """
import json, twinroot
twinroot.core.CONFIRM_MS = 0
client = twinroot.mqtt()
jobs = twinroot.jobs.Jobs(client)
while not jobs.done:
    client.wait_msg()
twinroot.ota.restart()
twinroot.core.CONFIRM_MS = 0
client = twinroot.mqtt()
jobs = twinroot.jobs.Jobs(client)
client.wait_msg()  # start-next/accepted: the job is still its own, and has succeeded
client.wait_msg()  # notify-next: there is none behind it
print(json.dumps([twinroot.SET, twinroot.slots.active(), client.link.route]))
"""


class Fleet:
    """Boards with sets of a product whose routes lead to the stand-in."""

    def __init__(self, cloud: StandIn, folder: Path) -> None:
        self.cloud, self.folder = cloud, folder
        self.roots = {name: Cert(x509.load_pem_x509_certificate(path.read_bytes()), None) for name, path in cloud.roots.items()}

    def build(self, device: str, number: int, route: str, without: tuple[str, ...] = ()) -> dict[str, bytes]:
        """A set of one route and its root, so that it fits into a job document."""
        certificate, key = (path.read_bytes() for path in self.cloud.issue(device))
        identity = Cert(x509.load_pem_x509_certificate(certificate), load_pem_private_key(key, None))
        to = self.cloud.route(route)
        return sets.build(
            number,
            [sets.route(route, to["endpoint"], [to["root"]])],
            {to["root"]: self.roots[to["root"]]},
            identity,
            change=dict.fromkeys(f"{name}.mpy" for name in without),
            lab={"resolve": self.cloud.resolve},
            name=device,
            vendor=signed_set.public_numbers(vendor().public),
        )

    def board(self, device: str, route: str = "ats") -> Board:
        return Board(self.folder / device, sets.board(1, self.build(device, 1, route)) | PROVEN_1)

    def update(self, device: str, route: str = "ats") -> bytes:
        """The signed container of version 2, without modules that this application does not use."""
        return container(self.build(device, 2, route, SPARED), 2)


@pytest.fixture(scope="module")
def fleet(shared: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    yield Fleet(shared, tmp_path_factory.mktemp("boards"))


@pytest.fixture
def iot(shared: StandIn) -> Any:
    return client(shared, "iot")


def ended(iot: Any, job: str, device: str) -> dict[str, Any]:
    execution = iot.describe_job_execution(jobId=job, thingName=device)["execution"]
    assert iot.describe_job(jobId=job)["job"]["status"] == "COMPLETED"
    return {"status": execution["status"], **execution["statusDetails"]["detailsMap"]}


def test_a_signed_set_from_a_topic_over_the_legacy_endpoint(fleet: Fleet, cloud: StandIn, iot: Any) -> None:
    """Somebody of the cloud's side answers requests for chunks; the account is the same behind both."""
    board, data = fleet.board("topic-1", "legacy"), fleet.update("topic-1", "legacy")
    cloud.scenario("ats", "refuse")
    sender, _ = Client(cloud, "legacy", device="sender").mqtt()
    with sender:
        sender.sendall(mqtt.subscribe("updates/2/get"))
        sender.recv(16)
        threading.Thread(target=send_chunks, args=(sender, "updates/2", data), daemon=True).start()
        iot.create_job(jobId="topic", targets=[arn("topic-1")], document='{"twinroot": {"version": 2, "topic": "updates/2"}}')
        assert board.run(APP).json == [2, 2, "legacy"]
    assert ended(iot, "topic", "topic-1") == {"status": "SUCCEEDED", "why": "set 2"}


def send_chunks(stream: Any, topic: str, data: bytes) -> None:
    parser = mqtt.Parser()
    try:
        while got := stream.recv(4096):
            for packet in parser.feed(got):
                if packet.kind == mqtt.PUBLISH:
                    at = int(mqtt.published(packet)[1])
                    stream.sendall(mqtt.publish(topic, b"%d:%s" % (at, data[at : at + 1400])))
    except OSError:
        pass


def test_a_set_for_somebody_else_fails_the_job_with_its_reason(fleet: Fleet, iot: Any) -> None:
    board = fleet.board("bad-1")
    data = container(fleet.build("bad-1", 2, "ats", (*SPARED, "ota", "session")), 2, device="doc-1")
    parts = [base64.b64encode(data).decode()]
    iot.create_job(jobId="bad", targets=[arn("bad-1")], document=json.dumps({"twinroot": {"version": 2, "parts": parts}}))
    script = "import twinroot\nclient = twinroot.mqtt()\njobs = twinroot.jobs.Jobs(client)\n"
    assert board.run(script + "client.wait_msg()\nclient.wait_msg()\nprint(twinroot.SET)").json == 1
    assert ended(iot, "bad", "bad-1") == {
        "status": "FAILED",
        "why": "update refused (for another product or device). Sign a higher version for it: twinroot sign",
    }
