"""Failure classes that no server can bring about: memory, a TLS library that cannot verify, numbers without texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.device import sets
from tests.device.jail import Board
from tests.device.world import ATS, LEGACY, World
from tests.support import pki

CLASSIFY = """
import json, twinroot
from twinroot import classify
cases = %r
print(json.dumps([classify.kind(eval(e), v) for e, v in cases]))
"""

# What was raised, whether the server's chain had been accepted by then, the kind. Numbers: mbedtls/error.h, errno.h.
TABLE = [
    ("ValueError('The certificate is not correctly signed by the trusted CA\\n')", True, "trust"),
    ("ValueError('The certificate validity has expired\\nThe certificate is not correctly signed by the trusted CA\\n')", True, "clock"),
    ("ValueError('The certificate validity starts in the future\\n')", True, "clock"),
    ("ValueError('The certificate Common Name (CN) does not match with the expected CN\\n')", True, "hostname"),
    ("ValueError('The certificate has been revoked (is on a CRL)\\n')", True, "trust"),
    ("ValueError('The certificate is signed with an unacceptable hash.\\n')", True, "trust"),
    ("ValueError('The certificate is signed with an unacceptable key (eg bad curve, RSA too short).\\n')", True, "trust"),
    ("ValueError('Usage does not match the keyUsage extension\\n')", True, "trust"),
    ("ValueError('invalid cert')", False, "set"),
    ("ValueError('invalid key')", False, "set"),
    ("ValueError('CERT_REQUIRED requires server_hostname')", False, "set"),
    ("OSError(-30336, 'MBEDTLS_ERR_SSL_CA_CHAIN_REQUIRED')", False, "set"),
    ("OSError(-9984, 'MBEDTLS_ERR_X509_CERT_VERIFY_FAILED')", True, "verify"),
    ("OSError(-29184, 'MBEDTLS_ERR_SSL_INVALID_RECORD')", False, "network"),
    ("OSError(-29312, 'MBEDTLS_ERR_SSL_CONN_EOF')", False, "network"),
    ("OSError(-28288)", False, "network"),
    ("OSError(-30592)", False, "network"),
    ("OSError(-30592)", True, "refused"),
    ("OSError(-31232)", True, "trust"),
    ("OSError(-31232)", False, "network"),
    ("OSError(-17168)", False, "memory"),
    ("OSError(-16)", False, "network"),  # EBUSY with a wrong sign, not an allocation
    ("OSError(-32512)", False, "memory"),
    ("OSError(-10368)", False, "memory"),
    ("OSError(-16256)", False, "memory"),
    ("OSError(-19840)", False, "memory"),
    ("OSError(-11626)", False, "memory"),
    ("OSError(12)", False, "memory"),
    ("OSError(141)", False, "memory"),
    ("MemoryError('memory allocation failed, allocating 3048 bytes')", False, "memory"),
    ("OSError(104)", False, "network"),
    ("OSError(104)", True, "network"),
    ("OSError(110)", False, "network"),
    ("OSError(111)", False, "network"),
    ("OSError(113)", False, "network"),
    ("OSError(-2)", False, "network"),
    ("OSError(-202)", False, "network"),
    ("OSError('text')", False, "network"),
    ("OSError()", False, "network"),
    ("ValueError()", False, "network"),
]


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    world = World(tmp_path)
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        yield world.board(ats, legacy)


def test_kinds_by_text_and_by_number(board: Board) -> None:
    got = board.run(CLASSIFY % ([row[:2] for row in TABLE],)).json
    assert list(zip([r[0] for r in TABLE], got, strict=True)) == [(r[0], r[2]) for r in TABLE]


ERRORS = """
import json, twinroot
out = []
for name in ("TrustError", "ClockError", "HostnameError", "NetworkError", "MemoryLow", "SetError", "RefusedError"):
    c = getattr(twinroot, name)
    e = twinroot.errors.make(c.kind, OSError(104, "reset"), "ats")
    try:
        raise e
    except c as caught:
        assert isinstance(caught, OSError) and isinstance(caught, twinroot.TwinrootError)
    assert c is getattr(twinroot, name)
    out.append([name, c.kind, str(e), e.args[0]])
try:
    twinroot.NoSuchError
except AttributeError:
    out.append("AttributeError")
print(json.dumps(out))
"""


def test_errors_are_oserrors_that_say_what_to_do(board: Board) -> None:
    *rows, last = board.run(ERRORS).json
    assert [r[1] for r in rows] == ["trust", "clock", "hostname", "network", "memory", "set", "refused"]
    assert all(r[3] == 104 and len(r[2]) > 40 and "ats" in r[2] for r in rows)
    assert last == "AttributeError"


ESP8266 = """
import sys, json
class tls:  # axTLS: no CERT_REQUIRED, no verification
    PROTOCOL_TLS_CLIENT = 0
    class SSLContext:
        def __init__(self, protocol):
            pass
sys.modules["tls"] = tls
import twinroot
try:
    twinroot.connect()
except OSError as e:
    print(json.dumps([e.kind, str(e)]))
"""


def test_a_library_that_cannot_verify_is_refused(board: Board) -> None:
    kind, text = board.run(ESP8266).json
    assert kind == "set"
    assert "cannot verify" in text and "ESP8266" in text


MEMORY = """
import json, twinroot
twinroot.core.state()[1].begin(0)
twinroot.errors, twinroot.classify, twinroot.failing
import gc
hog, kinds, n, i, e, link, size = None, [None] * 400, 0, 0, 0, 0, 0  # a new name could make the table of names grow
def call(**options):
    a = b = c = d = e = f = g = h = i = j = k = l = m = n = o = p = q = None
    for r in range(2):
        try:
            if options.pop("wait", 1) == 2:
                return call(wait=3)
            raise OSError(12, "out of memory")
        except OSError as s:
            t = [s, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q]
for size in (4000, 1000, 200, 32):  # a chain, because a list that grows would end this early
    try:
        while True:
            hog = (hog, bytearray(size))
    except MemoryError:
        pass
while True:  # calls, and an exception, take some bytes of their own
    try:
        call(wait=2)
        break
    except MemoryError:
        hog = hog[0]
for i in range(4):
    hog = hog[0]
while n == 0 or kinds[n - 1] != "ok":  # piece by piece memory comes back
    try:
        twinroot.connect(wait=False)
        kinds[n] = "ok"
    except OSError as e:
        kinds[n] = e.kind if hasattr(e, "kind") else e.args[0]
    except MemoryError:  # of the call itself: its arguments are laid out before the package has a say
        kinds[n] = "no call"
    n += 1
    hog = hog[0]
hog = None
gc.collect()
link = twinroot.connect()
print(json.dumps([kinds[:n], link.route]))
"""


def test_out_of_memory(tmp_path: Path) -> None:
    world = World(tmp_path)
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        done = world.board(ats, legacy).run(MEMORY, heap="256K")
        kinds, route = done.json
        assert "memory" in kinds and kinds[-1] == "ok"
        kinds = kinds[sum(kind == "no call" for kind in kinds[:3]) :]
        assert set(kinds) <= {"memory", 12, "ok"}, "an OSError, for loops that survive only that; ENOMEM when not even its words fit"
        assert route == "ats", "no other route because of memory, and the next attempt works"
        assert legacy.count == 0


NAMED = """
import json
from twinroot import verify
def leaf(n):
    with open("/leaf%%d" %% n, "rb") as f:
        return f.read()
print(json.dumps([verify.named(leaf(n), %r) for n in range(3)]))
"""


def test_an_address_is_no_host_name(tmp_path: Path) -> None:
    """Of the names of a certificate only those of hosts count, where a build without texts is asked why a chain was not accepted."""
    world = World(tmp_path)
    ca = pki.root("Somebody")
    leaves = [pki.make(pki.name("x"), ca, hosts=hosts, addresses=(ATS,)) for hosts in ((), ("other.example",), (ATS,))]
    files = {f"/leaf{number}": leaf.der for number, leaf in enumerate(leaves)}
    board = Board(tmp_path / "board", sets.board(1, world.build(1, "127.0.0.1:1", "127.0.0.1:1")) | files)
    assert board.run(NAMED % ATS).json == [False, False, True]
