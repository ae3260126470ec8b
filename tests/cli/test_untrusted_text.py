"""Nothing from a certificate, a server, a file or a ledger reaches a terminal raw: no escape, no carriage return, no line of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning import untrusted_text
from provisioning.cli.main import run
from provisioning.ledger.store import Ledger
from tests.device.server import Server, context, echo
from tests.support import pki

EVIL = "\x1b]0;owned\x07\rok\x9b31m\u202egood\nverdict: a device connects"
HOST = "abc-ats.iot.us-east-1.amazonaws.com"
HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


@given(st.text())
def test_what_passes(text: str) -> None:
    assert untrusted_text.one_line(text).isprintable() and len(untrusted_text.one_line(text)) == len(text)
    assert not HARMFUL.search(untrusted_text.lines(text)) and untrusted_text.lines(text).count("\n") == text.count("\n")
    shown = untrusted_text.json_text(json.dumps({text: [text]}, ensure_ascii=False))
    assert not HARMFUL.search(shown) and json.loads(shown) == {text: [text]}


def certificate() -> pki.Cert:
    return pki.make(pki.name(f"cn{EVIL}", f"org{EVIL}"), pki.root(f"Root{EVIL}"), hosts=(HOST,))


def check(folder: Path) -> list[str]:
    file = folder / "a\x1b]0;x\x07\r.pem"
    file.write_bytes(certificate().pem + pki.root(f"Other{EVIL}").pem)
    return ["trust", "check", str(file)]


def ledger(folder: Path) -> list[str]:
    with Ledger.open(folder / "l.sqlite") as opened:
        opened.append("release", "a" * 32, {"mac": "24:0a:c4:00:00:01", "device": f"ws{EVIL}", "reason": EVIL})
    return ["ledger", "show", "--ledger", str(folder / "l.sqlite")]


def export(folder: Path) -> list[str]:
    return ["ledger", "export", "--format", "jsonl", *ledger(folder)[2:]]


def endpoint(_folder: Path) -> list[str]:
    return ["endpoint", f"{HOST}{EVIL}"]


def health(folder: Path) -> list[str]:
    (folder / "p.yaml").write_text(f"product: p\nboard: esp32-generic\ncloud: {{endpoint: {HOST}}}\nidentity: {{certificate: a, key: b}}\n")
    row = {"device": f"ws{EVIL}", "last": EVIL, "roots": {EVIL: {"good": 1}}, "routes": {EVIL: {"err": EVIL}}}
    (folder / "h.jsonl").write_text(json.dumps(row))
    return ["migrate", "status", str(folder / "p.yaml"), "--health", str(folder / "h.jsonl")]


def product(folder: Path) -> list[str]:
    (folder / "p.yaml").write_text('"pro\\u009bduct\\r\\u202e": x\n')
    return ["check", str(folder / "p.yaml")]


def devices(folder: Path) -> list[str]:
    health(folder)
    (folder / "d.csv").write_bytes(f"device,c\nws-1\x1b]0;x\x07\x9b,{EVIL!r}\n".encode())
    return ["check", str(folder / "p.yaml"), "--devices", str(folder / "d.csv")]


@pytest.mark.parametrize("make", [check, ledger, export, endpoint, health, product, devices])
def test_commands(make: Callable[[Path], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = make(tmp_path)
    for more in ([], ["--json"], ["--debug"]):
        run([*arguments, *more])
        out, err = capsys.readouterr()
        assert not HARMFUL.search(out + err), repr(out + err)
        assert not any(line.startswith("verdict: a device connects") for line in (out + err).splitlines())


def test_a_servers_certificate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Server(echo(context(tmp_path / "s", [certificate()]))) as server:
        for more in ([], ["--json"]):
            assert run(["trust", "probe", f"{HOST}:8883", "--address", server.address, "--timeout", "5", *more]) == 1
            out, err = capsys.readouterr()
            assert "cn" in out and not HARMFUL.search(out + err), repr(out + err)
            assert not any(line.startswith("verdict: a device connects") for line in out.splitlines())
