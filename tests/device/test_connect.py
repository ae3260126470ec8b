"""connect(), failover and the way home, against real TLS servers."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.device.world import ATS, LEGACY, World
from tests.support import pki

SCRIPT = """
import json, twinroot
link = twinroot.connect(timeout=5)
link.sock.write(b"hello")
got = link.sock.read(5)
print(json.dumps([link.route, link.root, got.decode(), twinroot.health()]))
"""


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_preferred_route(tmp_path: Path, kind: str) -> None:
    world = World(tmp_path, kind)
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        route, root, got, health = world.board(ats, legacy).run(SCRIPT).json
        assert (route, root, got, legacy.count) == ("ats", "Ats", "hello", 0)
        assert health["proven"] == 1
        assert health["routes"]["ats"]["good"] == 1
        assert health["roots"] == {"Ats": {"good": 1, "at": health["routes"]["ats"]["at"]}}


def test_failover_and_home(tmp_path: Path) -> None:
    world = World(tmp_path)
    with world.server(ATS, world.legacy) as broken, world.server(LEGACY, world.legacy) as legacy:
        board = world.board(broken, legacy)
        route, root, _, health = board.run(SCRIPT).json
        assert (route, root) == ("legacy", "Legacy")
        assert broken.count == 2, "a route is left only after a second handshake said the same"
        assert health["routes"]["ats"] == {"good": 0, "bad": 2, "err": "trust", "iss": "Test Legacy Root"}
        # The last good route orders the next attempt ...
        route, *_ = board.run(SCRIPT).json
        assert (route, broken.count) == ("legacy", 2)
        # ... and the preferred one gets its chance again.
        route, *_ = board.run(SCRIPT.replace("timeout=5", "timeout=5, prefer=True")).json
        assert (route, broken.count) == ("legacy", 4)
    health_file = {"/trust/health.json": board.tree()["/trust/health.json"]}
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        fresh = world.board(ats, legacy)
        fresh.put(health_file)
        route, *_ = fresh.run(SCRIPT.replace("timeout=5", "timeout=5, prefer=True")).json
        assert route == "ats"


def test_selftest(tmp_path: Path) -> None:
    world = World(tmp_path)
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        board = world.board(ats, legacy)
        script = "import json, twinroot; print(json.dumps(twinroot.selftest({})))"
        d = board.run(script.format("")).json
        assert d["ok"], d
        assert (d["set"], d["previous"], d["proven"], d["bad"], d["error"]) == (1, None, None, [], None)
        assert (d["product"], d["device"], d["routes"]) == ("test", "t-1", ["ats", "legacy"])
        d = board.run(script.format("connect=True")).json
        assert d["ok"], d
        assert (d["connect"]["route"], d["connect"]["root"], d["proven"]) == ("ats", "Ats", 1)
        board.put({"/trust/1/Legacy.pem": b"changed"})
        d = board.run(script.format("")).json
        assert (d["ok"], d["bad"]) == (False, ["/trust/1/Legacy.pem"])


_PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
_TRADITIONAL, _PKCS8 = serialization.PrivateFormat.TraditionalOpenSSL, serialization.PrivateFormat.PKCS8


@pytest.mark.parametrize(
    ("kind", "form", "before"),
    [("ec", _TRADITIONAL, b""), ("ec", _TRADITIONAL, _PARAMETERS), ("ec", _PKCS8, b""), ("rsa", _TRADITIONAL, b""), ("rsa", _PKCS8, b"")],
)
def test_device_keys_as_they_come(tmp_path: Path, kind: str, form: serialization.PrivateFormat, before: bytes) -> None:
    """Whatever tool wrote the key: openssl with and without parameters, AWS's RSA keys, PKCS #8; with CR LF, too."""
    world = World(tmp_path)
    world.device = pki.client("t-1", world.devices, kind=kind)
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        board = world.board(ats, legacy)
        for text in (before + world.device.key_as(form), (before + world.device.key_as(form)).replace(b"\n", b"\r\n")):
            board.put({"/trust/1/device.key.pem": text})
            assert board.run(SCRIPT).json[0] == "ats"


def test_roots_as_they_come(tmp_path: Path) -> None:
    """Text before the block, CR LF, DER instead of PEM."""
    world = World(tmp_path)
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        board = world.board(ats, legacy)
        pem = world.ats.pem
        for content in (b"# Test root\nIssuer: me\n\n" + pem, pem.replace(b"\n", b"\r\n"), pem.rstrip(), world.ats.der):
            board.put({"/trust/1/Ats.pem": content})
            assert board.run(SCRIPT).json[:2] == ["ats", "Ats"]
