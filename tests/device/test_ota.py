"""Signed sets over the air: signed by provisioning/ota/signed_set.py, taken by firmware/twinroot/ota.py."""

from __future__ import annotations

import json
import struct
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from provisioning.bundle.bundle import runner
from provisioning.bundle.pack import in_folder
from provisioning.errors import InputError, StationError
from provisioning.ota import signed_set
from tests.device import sets
from tests.device.jail import Board
from tests.device.test_power_cut import CUT
from tests.device.test_sets import HOURLY, PROVEN_1, TRY
from tests.device.world import ATS, LEGACY, World
from tests.support import pki

FEED = """
import json, twinroot
from twinroot import ota
u, r = ota.Update(), "done"
try:
    with open("/update", "rb") as f:
        while not u.done:
            d = f.read(%d)
            if not d:
                r = "more"
                break
            u.feed(d)
except OSError as e:
    r = str(e)
print(json.dumps([r, u.number, twinroot.slots.active()]))
"""
SOON = int(time.time()) + 86400


class Key:
    """An RSA key that signs as KeySigner does, without a file."""

    def __init__(self, bits: int = 2048) -> None:
        from cryptography.hazmat.primitives.asymmetric import rsa

        self.key = rsa.generate_private_key(65537, bits)

    def sign(self, data: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        return self.key.sign(data, PKCS1v15(), SHA256())

    @property
    def public(self) -> RSAPublicKey:
        return self.key.public_key()


@cache
def vendor() -> Key:
    return Key()


def container(built: dict[str, bytes], number: int, signer: Key | None = None, **options: Any) -> bytes:
    """The signed container of set `number` in `built`."""
    base = f"/trust/{number}/"
    info = json.loads(built[f"{base}set.json"])
    info.update(options.pop("info", {}))
    files = {n: built[n if n.startswith("/") else base + n] for n in info["files"]}
    if signed_set.APPLICATION in files:
        files[signed_set.RUNNER] = runner()
    if options.pop("folder", False):
        info, files = in_folder(info, files)
    text, contents = signed_set.manifest(info, files, **{"expires": SOON, **options})
    signer = signer or vendor()
    if len(signed_set.public_numbers(signer.public)["n"]) < 512:  # host tools would not let it out
        signature = signer.sign(signed_set.MAGIC + text)
        head = signed_set.MAGIC + struct.pack("!H", len(signature)) + signature + struct.pack("!I", len(text)) + text
        return b"".join((head, *contents))
    return signed_set.sign(text, contents, signer, signed_set.public_numbers(signer.public))


class Fleet:
    """A board with set 1 in use, and version 2 of its set, with other roots and another package."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.ats = self.world.server(ATS, self.world.ats)
        self.legacy = self.world.server(LEGACY, self.world.legacy)
        public = signed_set.public_numbers(vendor().public)
        self.old = self.world.build(1, self.ats.address, self.legacy.address, vendor=public)
        self.moved = World(folder / "moved")
        self.moved.ats = pki.root("Next ATS Root")
        self.moved.device = self.world.device
        self.new = self.moved.build(2, self.ats.address, self.legacy.address, change={"extra.mpy": sets.compiled()["core"]})
        self.folder = folder / "board"

    def first_form(self, data: bytes) -> Board:
        """A board as the first form left it: its loader, and a folder of modules."""
        public = signed_set.public_numbers(vendor().public)
        old = self.world.build(1, self.ats.address, self.legacy.address, vendor=public, package=sets.folder_package)
        loader = {"/lib/twinroot/__init__.py": (Path(__file__).parent / "first_release" / "__init__.py").read_bytes()}
        return Board(self.folder, sets.board(1, old) | loader | PROVEN_1 | {"/update": data})

    def board(self, data: bytes, **files: bytes) -> Board:
        return Board(self.folder, sets.board(1, self.old) | PROVEN_1 | {"/update": data})

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        self.ats.close()
        self.legacy.close()


@pytest.mark.parametrize("piece", [100_000, 512, 7])
def test_a_signed_set_becomes_active_and_proves_itself(fleet: Fleet, piece: int) -> None:
    board = fleet.board(container(fleet.new, 2))
    assert board.run(FEED % piece).json == ["done", 2, 2]
    report = board.run("import json, twinroot; print(json.dumps(twinroot.selftest()))").json
    assert report["ok"], report
    assert (report["set"], report["version"], report["device"], report["previous"]) == (2, 2, "t-1", 1)
    tree = board.tree()
    assert tree["/trust/2/device.key.pem"] == fleet.old["/trust/1/device.key.pem"], "identity stays on the device"
    assert tree["/trust/2/Ats.pem"] == fleet.moved.ats.pem
    assert not [p for p in tree if p.endswith(".new")]
    # The endpoint has moved to the new root: the old set could not connect there, the new one proves itself.
    fleet.ats.behaviour = fleet.moved.server(ATS, fleet.moved.ats).behaviour
    d = board.run(TRY % 1).json
    assert d["out"][0][:3] == ["ok", "ats", "Ats"]
    assert d["health"]["proven"] == 2


def test_one_that_cannot_connect_is_rolled_back_and_refused_from_then_on(fleet: Fleet) -> None:
    nobody = pki.root("Nobody")
    fleet.moved.ats = fleet.moved.legacy = nobody
    data = container(fleet.moved.build(2, fleet.ats.address, fleet.legacy.address), 2)
    board = fleet.board(data)
    assert board.run(FEED % 512).json[0] == "done"
    d = board.run(HOURLY % 6).json
    assert [(o[0], o[3]) for o in d["out"]] == [("ok", 1)] * 6
    reason, _, active = board.run(FEED % 512).json
    assert "not newer" in reason
    assert active == 1
    again = container(fleet.new, 2, info={"version": 3})
    board.put({"/update": again})
    assert board.run(FEED % 512).json == ["done", 2, 2], "a later version may try, in place of the failed set"
    assert json.loads(board.tree()["/trust/2/set.json"])["version"] == 3


def corrupt(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


def refusals(fleet: Fleet) -> dict[str, tuple[bytes, str]]:
    good = container(fleet.new, 2)
    size = int.from_bytes(good[7:9], "big")
    start = 9 + size + 4
    end = start + int.from_bytes(good[9 + size : start], "big")
    evil = {**fleet.new, "/trust/2/device.key.pem": b"stolen"}
    own = {"device.key.pem": sha(b"stolen")}
    return {
        "unsigned": (good[:7] + b"\0\0" + good[9 + size :], "signature"),
        "signed by somebody else": (container(fleet.new, 2, Key()), "signature"),
        "signed with a short key": (container(fleet.new, 2, Key(1024)), "signature"),
        "signature changed": (corrupt(good, 20), "signature"),
        "manifest changed": (corrupt(good, start + 5), "signature"),
        "content changed": (corrupt(good, end + 40), "update refused"),
        "other magic": (b"TWSET2\n" + good[7:], "not a signed set"),
        "garbage": (b"\x00" * 200, "not a signed set"),
        "manifest without end": (good[: 9 + size] + b"\xff\xff\xff\xff" + good[start:], "too long"),
        "same version": (container(fleet.new, 2, info={"version": 1}), "not newer"),
        "older version": (container(fleet.new, 2, info={"version": 0}), "not newer"),
        "expired": (container(fleet.new, 2, expires=int(time.time()) - 10), "expired"),
        "for another product": (container(fleet.new, 2, info={"product": "other"}), "another product"),
        "for another device": (container(fleet.new, 2, device="t-2"), "another product or device"),
        "with an identity": (container(evil, 2, info={"cert": None, "key": None, "files": own}), "device.key.pem"),
        "outside of its folders": (container({**fleet.new, "/main.py": b"x"}, 2, info={"files": {"/main.py": sha(b"x")}}), "main.py"),
        "upwards": (container({**fleet.new, "/trust/2/../x.pem": b"x"}, 2, info={"files": {"../x.pem": sha(b"x")}}), "x.pem"),
    }  # fmt: skip


def sha(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def test_refused(fleet: Fleet) -> None:
    for what, (data, reason) in refusals(fleet).items():
        board = fleet.board(data)
        said, _, active = board.run(FEED % 512).json
        assert reason in said, (what, said)
        assert active == 1, what
        d = board.run(TRY % 1).json
        assert d["out"][0][0] == "ok", what


def test_a_board_without_a_vendor_key_takes_nothing(fleet: Fleet) -> None:
    fleet.old = fleet.world.build(1, fleet.ats.address, fleet.legacy.address)
    assert "signature" in fleet.board(container(fleet.new, 2)).run(FEED % 512).json[0]


def test_cut_short_waits_for_the_rest(fleet: Fleet) -> None:
    data = container(fleet.new, 2)
    for size in (0, 3, 8, 100, 400, len(data) // 2, len(data) - 1):
        assert fleet.board(data[:size]).run(FEED % 512).json[::2] == ["more", 1]


def cut_everywhere(fleet: Fleet, step: int) -> int:
    """Cuts the power in every `step`th flash operation of an update; how many cuts there were."""
    board = fleet.board(container(fleet.world.build(2, fleet.ats.address, fleet.legacy.address), 2))
    start, at = board.image.read_bytes(), 0
    while True:
        board.image.write_bytes(start)
        done = board.run(FEED % 4096, cut=at)
        if done.code != CUT:
            break
        d = board.run(TRY % 1).json
        assert d["out"][0][0] == "ok"
        assert d["active"] in (1, 2)
        if at // step % 4 == 0 and d["active"] == 1:
            assert board.run(FEED % 4096).json[0] == "done", "the next try takes it, whatever the cut left behind"
        at += step
    assert done.json[0] == "done"
    return at // step


def test_power_cut(fleet: Fleet) -> None:
    assert cut_everywhere(fleet, 9) >= 5


@pytest.mark.long
def test_power_cut_at_every_operation(fleet: Fleet) -> None:
    assert cut_everywhere(fleet, 1) >= 50


TOPIC = """
import json, twinroot
from twinroot import ota
t = ota.Topic()
with open("/update", "rb") as f:
    data = f.read()
t.message(b"nonsense"); t.message(b"5:early")
while not t.update.done:
    i = t.wanted
    m = str(i).encode() + b":" + data[i:i + 700]
    t.message(m)
    t.message(m)
ota.restart()
link = twinroot.connect()
print(json.dumps([twinroot.SET, link.route]))
"""


def test_chunks_from_a_topic(fleet: Fleet) -> None:
    board = fleet.board(container(fleet.world.build(2, fleet.ats.address, fleet.legacy.address), 2))
    assert board.run(TOPIC).json == [2, "ats"]


def test_key_files(tmp_path: Path) -> None:
    file = tmp_path / "vendor.key.pem"
    public = signed_set.create_key(file, b"secret", 2048)
    assert file.stat().st_mode & 0o777 == 0o600 or sys.platform == "win32"
    assert b"ENCRYPTED" in file.read_bytes()
    signer = signed_set.KeySigner(file, b"secret")
    assert signed_set.public_numbers(signer.public) == signed_set.public_numbers(public)
    assert len(signer.sign(b"x")) == 256
    for bad in (
        lambda: signed_set.KeySigner(file, b"wrong"),
        lambda: signed_set.create_key(file, b"secret"),
        lambda: signed_set.create_key(tmp_path / "x", b""),
    ):
        with pytest.raises(InputError):
            bad()
    echo = signed_set.CommandSigner([sys.executable, "-c", "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])"])
    assert echo.sign(b"abc") == b"cba"
    with pytest.raises(StationError):
        signed_set.CommandSigner([sys.executable, "-c", "raise SystemExit(3)"]).sign(b"abc")


def test_a_board_of_the_first_form_takes_a_folder_of_modules_and_connects(fleet: Fleet) -> None:
    """Its loader cannot be changed over the air, and the modules of today run under it."""
    board = fleet.first_form(container(fleet.new, 2, folder=True))
    assert board.run(FEED % 512).json == ["done", 2, 2]
    fleet.ats.behaviour = fleet.moved.server(ATS, fleet.moved.ats).behaviour
    d = board.run(TRY % 1).json
    assert d["out"][0][:1] + d["out"][0][3:] == ["ok", 2], d
    assert d["homes"] == [d["path"]]
    report = board.run("import json, twinroot; print(json.dumps(twinroot.selftest()))").json
    assert report["ok"], report


BETWEEN = """
import json, twinroot
from twinroot import ota
out = []
for name in ("/newer", "/update"):
    try:
        with open(name, "rb") as f:
            ota.Update().feed(f.read())
        out.append("done")
    except OSError as e:
        out.append(str(e))
print(json.dumps([out, twinroot.SET, twinroot.slots.active()]))
"""


def test_between_commit_and_restart_an_older_one_is_refused(fleet: Fleet) -> None:
    """The newest of active and in use counts: version 3 is active, 1 in use, and 2 is old."""
    board = fleet.board(container(fleet.new, 2))
    board.put({"/newer": container(fleet.new, 2, info={"version": 3})})
    out, in_use, active = board.run(BETWEEN).json
    assert (out[0], in_use, active) == ("done", 1, 2)
    assert "not newer" in out[1]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"package": 5}'])
def test_a_damaged_set_that_stays_does_not_stop_updates(fleet: Fleet, damage: bytes) -> None:
    """The proven set is kept; when it cannot be read any more, it is of no use to anybody."""
    three = fleet.world.build(3, fleet.ats.address, fleet.legacy.address, vendor=signed_set.public_numbers(vendor().public))
    proven = {"/trust/health.json": PROVEN_1["/trust/health.json"].replace(b'"proven":1', b'"proven":2')}
    tree = sets.board(3, fleet.old, three) | proven | {"/update": container(fleet.new, 2, info={"version": 4}), "/trust/2/set.json": damage}
    board = Board(fleet.folder, tree)
    assert board.run(FEED % 512).json[0] == "done"
    assert "/trust/2/set.json" not in board.tree()


def test_under_the_first_loader_the_set_before_stands_in_too(fleet: Fleet) -> None:
    """That loader cannot be told which set to use: the trial turns its wheels itself. The one before has the code of its release."""
    fleet.moved.ats = fleet.moved.legacy = pki.root("Nobody")
    bad = fleet.moved.build(2, fleet.ats.address, fleet.legacy.address)
    board = fleet.first_form(container(bad, 2, folder=True))
    assert board.run(FEED % 512).json == ["done", 2, 2]
    d = board.run(HOURLY % 2).json
    assert [(o[0], o[3]) for o in d["out"]] == [("ok", 1)] * 2
    assert (d["active"], d["health"]["proven"]) == (2, 1)
