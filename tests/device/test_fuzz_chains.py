"""Chains that a server made up: names of every string type and length, subjectAltNames that are none, extensions without end, broken
DER. One oracle: connected over the other route on trust evidence alone, else an OSError of the package that can be printed; the next
connect works, and memory is what it was."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.device.rawtls import mutants, serve
from tests.device.sha1 import body, elements, wrap
from tests.device.world import ATS, LEGACY, World
from tests.support import pki

RUN = """
import gc, json, sys, twinroot
core = twinroot.core
core.CONFIRM_MS = 0
twinroot.failing.sleep_ms = lambda ms: None
NUMBERS = %r
if NUMBERS:
    import tls
    class Numbers:  # a build without texts: of what is wrong with a certificate only the number is told
        PROTOCOL_TLS_CLIENT, CERT_REQUIRED = tls.PROTOCOL_TLS_CLIENT, tls.CERT_REQUIRED
        class SSLContext:
            def __init__(self, protocol):
                self.c = tls.SSLContext(protocol)
                self.load_verify_locations, self.load_cert_chain = self.c.load_verify_locations, self.c.load_cert_chain
            def wrap_socket(self, s, server_hostname):
                self.c.verify_mode, self.c.verify_callback = self.verify_mode, self.verify_callback
                try:
                    return self.c.wrap_socket(s, server_hostname=server_hostname)
                except ValueError:
                    raise OSError(-0x2700)
    twinroot.tlslink.tls = Numbers
out, samples = {}, []
for i in range(%d):
    try:
        core._pol.last, core._pol.quiet = 0, None  # each time as on the first day
        link = core.connect(5, True, False)
        what = "connected over " + link.route
        link = link.close()
    except OSError as e:
        what = "%%s %%s" %% (e.kind, e.route) if e.route else str(e)
        text = str(e)
        assert e.issuer is None or len(e.issuer) <= 40 and json.dumps(e.issuer)
    except Exception as e:
        sys.print_exception(e)
        what = repr(e)
    out[what] = out.get(what, 0) + 1
    if i %% 25 == 24:
        gc.collect()
        samples.append(gc.mem_alloc())
iss = twinroot.health()["routes"]["ats"].get("iss")
print(json.dumps([out, samples, iss, len(twinroot.telemetry.text())]))
"""
ALLOWED = {"connected over legacy", "network ats", "clock ats", "hostname ats"}


def meet(tmp_path: Path, chains: Iterator[list[bytes]], count: int, numbers: bool = False) -> Any:
    """(what came out how often, heap samples, issuer in health, bytes of telemetry) of that many connects."""
    world = World(tmp_path)
    lock = threading.Lock()

    def following() -> list[bytes]:
        with lock:
            return next(chains)

    with world.server(ATS, world.ats, serve(following)) as ats, world.server(LEGACY, world.legacy) as legacy:
        board = world.board(ats, legacy)
        out = board.run(RUN % (numbers, count), timeout=300).json
        ats.behaviour = world.server(ATS, world.ats).behaviour
        assert board.run("import json, twinroot; print(json.dumps(twinroot.connect(prefer=True).route))").json == "ats", (
            "the next one works"
        )
    return out


OID_NAME, OID_SAN = bytes.fromhex("0603550441"), bytes.fromhex("0603551d11")  # 2.5.4.65 pseudonym, of no prescribed type; 2.5.29.17


def made(like: bytes, issuer: bytes | None = None, san: bytes | None = None, soup: int = 0) -> bytes:
    """The certificate `like` with another issuer (DER of a Name), the contents of another subjectAltName, and `soup` extensions of no
    meaning: no library would write it, and nobody has signed it."""
    whole = elements(body(like))
    tbs = elements(body(whole[0]))
    if issuer is not None:
        tbs[3] = issuer
    kept = [e for e in elements(body(body(tbs[7]))) if OID_SAN not in e]
    kept += [wrap(0x30, b"\x06\x04\x2a\x03\x04" + bytes((i % 128,)) + wrap(4, bytes(i % 90))) for i in range(soup)]
    if san is None:
        san = wrap(0x30, wrap(0x82, ATS.encode()))
    tbs[7] = wrap(0xA3, wrap(0x30, b"".join(kept) + wrap(0x30, OID_SAN + wrap(4, san))))
    return wrap(0x30, wrap(0x30, b"".join(tbs)) + whole[1] + whole[2])


def attribute(tag: int, value: bytes) -> bytes:
    return wrap(0x31, wrap(0x30, OID_NAME + wrap(tag, value)))


# UTF8, Numeric, Printable, T61, IA5, Visible, Universal, BMP; what a string type promises nobody keeps.
TAGS = (0x0C, 0x12, 0x13, 0x14, 0x16, 0x1A, 0x1C, 0x1E)
TEXTS = ["信頼" * 9 + "局", "信頼局" * 4 + "認", "Zürich Ä" * 7, "", "x", "\x1b[2J\r\n\0", "a" * 64, "n" * 300]
TEXTS += ["é" * n + "x" * (41 - n) for n in range(12, 42, 3)]  # a cut falls into a character
VALUES = [f for t in TEXTS for f in (t.encode(), t.encode("utf-16-be"), t.encode("utf-32-be"), t.encode("latin-1", "replace"))]
SANS = (
    b"",
    b"\x30\x00",
    b"\x30\x06\x82\x04\xff\xfe\xfd\xfc",
    b"\x30\x07\x82\x05\xe4\xb8\xadaa",
    b"\x30\x02\x82\x00",
    b"\x30\x05\x82\x82\x00\x01x",
)


def names(like: bytes) -> Iterator[bytes]:
    """Issuers of every string type and length, and none."""
    for i, value in enumerate(dict.fromkeys(VALUES)):
        for tag in (TAGS[i % 8], TAGS[(3 * i + 5) % 8]):
            yield made(like, wrap(0x30, attribute(tag, value)))
    yield made(like, wrap(0x30, b""))
    yield made(like, wrap(0x30, b"".join(attribute(0x0C, b"n" * 60) for _ in range(30))))
    yield made(like, wrap(0x30, wrap(0x31, b"")))


def soup(like: bytes) -> Iterator[bytes]:
    for san in SANS:
        yield made(like, san=san)
    for count in (1, 40, 150):
        yield made(like, soup=count)


@pytest.mark.parametrize("numbers", [False, True])
def test_names_and_extensions(tmp_path: Path, numbers: bool) -> None:
    like = pki.server(ATS, pki.root("Nobody")).der
    chains = [[der] for der in (*names(like), *soup(like))]
    twice = iter([chain for chain in chains for _ in (0, 1)] + [chains[0]] * 200)  # trust is confirmed by a second handshake
    out, samples, issuer, size = meet(tmp_path, twice, len(chains), numbers)
    assert set(out) <= ALLOWED, out
    assert sum(out.values()) == len(chains)
    # A build with texts has the name wrong, where the name is; one with numbers works it out from what it saw.
    assert out.get("connected over legacy", 0) > 20 or out.get("hostname ats", 0) > 20, out
    assert size < 300 and (issuer is None or isinstance(issuer, str))
    assert min(samples[-2:]) - min(samples[1:3]) < 512 and max(samples) - min(samples) < 8192, samples


def broken(tmp_path: Path, count: int, numbers: bool, seed: int) -> None:
    ats = pki.root("Test ATS Root")
    nobody = pki.root("Nobody")
    middle = pki.make(pki.name("Middle"), nobody, ca=True)
    seeds = [
        pki.server(ATS, ats).der,
        pki.server(ATS, nobody).der,
        pki.server(ATS, middle, kind="rsa").der,
        ats.der,
        middle.der,
        *soup(ats.der),
    ]
    r = random.Random(seed)
    source = mutants(seeds, r)

    def chains() -> Iterator[list[bytes]]:
        while True:
            chain = [next(source)]
            if r.random() < 0.3:
                chain += [r.choice(seeds), next(source)][: r.randrange(1, 3)]
            yield chain
            if r.random() < 0.7:  # the same again: two that agree
                yield chain

    out, samples, _, _ = meet(tmp_path, chains(), count, numbers)
    print(out)
    assert set(out) <= ALLOWED, out
    assert len(out) >= 2 and sum(out.values()) == count
    assert min(samples[-2:]) - min(samples[1:3]) < 512 and max(samples) - min(samples) < 8192, samples


@pytest.mark.parametrize("numbers", [False, True])
def test_broken_der(tmp_path: Path, numbers: bool) -> None:
    broken(tmp_path, 300, numbers, 7)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_much_broken_der(tmp_path: Path, seed: int) -> None:
    broken(tmp_path, 3000, bool(seed & 1), seed)
