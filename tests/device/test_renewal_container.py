"""A renewed certificate over the air (firmware/twinroot/renewal.py): signed by provisioning/job/signed_renewals.py, real TLS afterwards."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from provisioning.bundle.bundle import CERTIFICATE_FILE
from provisioning.job import signed_renewals
from provisioning.ota import job_document, signed_set
from tests.device import sets
from tests.device.jail import Board
from tests.device.test_ota import FEED, SOON, Fleet, Key, vendor
from tests.device.test_power_cut import CUT
from tests.device.test_sets import PROVEN_1
from tests.support import pki

SELFTEST = "import json, twinroot; print(json.dumps(twinroot.selftest(%s)))"


ACCEPTED = """
import json, twinroot
link = twinroot.connect()
out = [twinroot.health()["proven"]]
link.accepted()
print(json.dumps(out + [twinroot.health()["proven"]]))
"""


class Renewal:
    """Version 2 of the fleet's set, with a certificate of its own."""

    def __init__(self, fleet: Fleet, certificate: bytes | None = None, **more: Any) -> None:
        self.fleet = fleet
        self.pem = certificate or pki.client("t-1", fleet.world.devices).pem
        public = signed_set.public_numbers(vendor().public)
        self.built = fleet.world.build(2, fleet.ats.address, fleet.legacy.address, vendor=public, **more)

    def container(self, signer: Key | None = None, device: str = "t-1", **changed: Any) -> bytes:
        info = json.loads(self.built["/trust/2/set.json"])
        files = {n: self.built[n if n.startswith("/") else f"/trust/2/{n}"] for n in info["files"]}
        pem = self.pem
        info["files"][CERTIFICATE_FILE] = hashlib.sha256(pem).hexdigest()
        text = signed_renewals.manifest(info, files, pem, expires=SOON, device=device)
        text = json.dumps(json.loads(text) | changed).encode()
        signer = signer or vendor()
        return signed_set.sign(text, [pem], signer, signed_set.public_numbers(signer.public))

    def board(self, data: bytes) -> Board:
        return Board(self.fleet.folder, sets.board(1, self.fleet.old) | PROVEN_1 | {"/update": data})


def test_it_brings_the_certificate_alone_and_is_proven_by_the_server(fleet: Fleet) -> None:
    renewal = Renewal(fleet)
    data = renewal.container()
    assert len(data) < 4096 and len(job_document.document(data)) < job_document.LIMIT
    board = renewal.board(data)
    assert board.run(FEED % 512).json == ["done", 2, 2]
    tree = board.tree()
    assert tree["/trust/2/device.crt.pem"] == renewal.pem != tree["/trust/1/device.crt.pem"]
    assert tree["/trust/2/device.key.pem"] == tree["/trust/1/device.key.pem"]
    report = board.run(SELFTEST % False).json
    assert (report["ok"], report["version"], report["proven"]) == (True, 2, 1)
    # The fleet's servers answer with what they are sent: no CONNACK. A set of this certificate waits for one.
    assert board.run(ACCEPTED).json == [1, 2]


def test_a_chain_comes_with_it_and_goes(fleet: Fleet) -> None:
    renewal = Renewal(fleet, pki.client("t-1", fleet.world.devices).pem + fleet.world.devices.pem)
    board = renewal.board(renewal.container())
    assert board.run(FEED % 512).json == ["done", 2, 2]
    assert json.loads(board.tree()["/trust/2/set.json"])["chain"] is True
    renewal.pem = pki.client("t-1", fleet.world.devices).pem
    board.put({"/update": renewal.container(version=3)})
    assert board.run(FEED % 512).json == ["done", 3, 3]
    assert "chain" not in json.loads(board.tree()["/trust/3/set.json"])


def other_key(fleet: Fleet) -> bytes:
    return pki.make(pki.name("t-1"), fleet.world.devices, label="another").pem


def other_name(fleet: Fleet) -> bytes:
    return pki.make(pki.name("t-2"), fleet.world.devices, own=fleet.world.device.key).pem


def cut_off(fleet: Fleet) -> bytes:
    lines = fleet.world.device.pem.splitlines(keepends=True)
    return b"".join([*lines[:3], lines[-1]])


@pytest.mark.parametrize(
    "wrong",
    [
        other_key,
        other_name,
        cut_off,
        lambda fleet: b"garbage",
        lambda fleet: b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    ],
    ids=["another key", "another name", "cut off", "garbage", "no certificate"],
)
def test_a_certificate_that_does_not_follow_is_refused(fleet: Fleet, wrong: Any) -> None:
    renewal = Renewal(fleet, wrong(fleet))
    board = renewal.board(renewal.container())
    said, _, active = board.run(FEED % 512).json
    assert "certificate of another key or name" in said and active == 1
    assert not [path for path in board.tree() if path.startswith("/trust/2/")]
    board.put({"/update": Renewal(fleet).container()})
    assert board.run(FEED % 512).json == ["done", 2, 2]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another device": ({"device": "t-2"}, "another product or device"),
    "every device": ({"device": None}, "device.crt.pem"),
    "not newer": ({"version": 1}, "not newer"),
    "key": ({"files": [["device.key.pem", 3, "00"]]}, "not a renewal"),
    "key from the board": ({"same": [["device.key.pem", 3, "00"]]}, "device.key.pem"),
    "certificate and more": ({"files": [["device.crt.pem", 3, "00"], ["X.pem", 3, "00"]]}, "not a renewal"),
    "a root that is not there": ({"same": [["Next.pem", 3, "00" * 32]]}, "the whole set first"),
    "out of the set": ({"same": [["../x.pem", 3, "00" * 32]]}, "../x.pem"),
    "no list": ({"same": 7}, "update refused"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_container_that_is_not_for_this_board_is_refused(fleet: Fleet, what: str) -> None:
    changed, words = REFUSED[what]
    board = Renewal(fleet).board(Renewal(fleet).container(**changed))
    said, _, active = board.run(FEED % 512).json
    assert words in said and active == 1, said
    assert not [path for path in board.tree() if path.startswith("/trust/2/")]


def test_another_vendors_is_refused(fleet: Fleet) -> None:
    board = Renewal(fleet).board(Renewal(fleet).container(Key()))
    assert "signature" in board.run(FEED % 512).json[0]


def test_a_board_without_its_package_takes_the_whole_set_first(fleet: Fleet) -> None:
    renewal = Renewal(fleet, change={"extra.mpy": b"another"})
    said, _, active = renewal.board(renewal.container()).run(FEED % 512).json
    assert "the whole set first" in said and active == 1


@pytest.mark.parametrize("step", [23, pytest.param(1, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_power_that_goes_in_any_flash_operation(fleet: Fleet, step: int) -> None:
    """The board has the old certificate or the new one, whole, and takes it in the next attempt."""
    renewal = Renewal(fleet)
    data = renewal.container()
    cuts = 0
    for at in range(0, 10_000, step):
        board = renewal.board(data)
        done = board.run(FEED % 512, cut=at)
        if done.code != CUT:
            break
        cuts += 1
        report = board.run(SELFTEST % False).json
        assert report["ok"], (at, report)
        tree = board.tree()
        whole = renewal.pem if report["set"] == 2 else fleet.world.device.pem
        assert tree[f"/trust/{report['set']}/device.crt.pem"] == whole
        assert report["set"] == 2 or board.run(FEED % 512).json[::2] == ["done", 2], at
    assert cuts >= 50 // step
