"""`trust probe` against real TLS servers on loopback."""

from __future__ import annotations

import json
import socket
import ssl
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.cli.main import run
from provisioning.trust.probe.handshake import HandshakeAttempt, ProbeTarget, _Seen, handshake
from provisioning.trust.probe.verdict import classify
from provisioning.trust.roots import load_roots
from tests.device import behaviours
from tests.device.server import Behaviour, Server, context, echo
from tests.support import pki

HOST = "abc-ats.iot.us-east-1.amazonaws.com"


def probe(capsys: pytest.CaptureFixture[str], server: Server | str, *arguments: str) -> tuple[int, dict[str, Any]]:
    address = server if isinstance(server, str) else server.address
    code = run(["trust", "probe", f"{HOST}:8883", "--address", address, "--timeout", "5", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def root_file(folder: Path, name: str, root: pki.Cert) -> str:
    file = folder / f"{name}.pem"
    file.write_bytes(root.pem)
    return str(file)


def test_a_good_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = pki.root("Lab Root")
    middle = pki.make(pki.name("Lab Intermediate"), root, ca=True)
    with Server(echo(context(tmp_path / "s", [pki.server(HOST, middle), middle]))) as server:
        code, data = probe(capsys, server, "--ca", root_file(tmp_path, "Lab", root))
    [row] = data["routes"]
    assert code == 0 and data["verdict"]["connects"] and data["verdict"]["root"] == "Lab"
    assert [c["name"] for c in row["chain"]] == [HOST, "Lab Intermediate"]
    assert row["chain"][0]["dns_names"] == [HOST] and row["chain"][0]["not_after"] == "2034-01-01" and row["chain"][0]["days_left"] > 0
    assert row["tls"].startswith("TLSv1.2 ECDHE-ECDSA-") and row["newest"].startswith("TLSv1.3 ")
    assert row["by_key"] == {"ECC": "Lab"} and row["all_roots"] == "Lab"
    by_root = {a["root"]: (a["device"], a["openssl"]) for a in row["anchors"]}
    assert by_root.pop("Lab") == (True, True)
    assert set(by_root) == set(load_roots()) and set(by_root.values()) == {(False, False)}
    assert row["client_certificate"] == "not asked for"
    assert row["other_name"] == row["no_name"] == "the same certificate"


def test_a_server_that_is_not_what_its_provider_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """HOST is an ATS name of AWS: a client certificate is asked for there, and its chain ends in Amazon's roots."""
    root, devices = pki.root("Lab Root"), pki.root("Device CA")
    with Server(echo(context(tmp_path / "s", [pki.server(HOST, root)]))) as server:
        _, data = probe(capsys, server, "--ca", root_file(tmp_path, "Lab", root))
    notes = "; ".join(data["routes"][0]["notes"])
    assert "unlike AWS IoT Core, this server does not ask for a client certificate" in notes
    assert "its chain ends in Lab, not in " in notes
    with Server(echo(context(tmp_path / "s", [pki.server(HOST, root)], devices))) as server:
        _, data = probe(capsys, server, "--ca", root_file(tmp_path, "Lab", root))
    assert "client certificate" not in "; ".join(data["routes"][0]["notes"])


def test_the_anchor_changes_with_the_cipher_suite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rsa, ecc = pki.root("RSA Root", "rsa"), pki.root("ECC Root")
    made = context(tmp_path / "s", [pki.server(HOST, ecc)])
    (tmp_path / "rsa.pem").write_bytes((leaf := pki.server(HOST, rsa, kind="rsa")).pem)
    (tmp_path / "rsa.key").write_bytes(leaf.key_pem)
    made.load_cert_chain(tmp_path / "rsa.pem", tmp_path / "rsa.key")
    with Server(echo(made)) as server:
        roots = ["--ca", root_file(tmp_path, "One", rsa), "--ca", root_file(tmp_path, "Three", ecc)]
        code, data = probe(capsys, server, *roots)
    assert code == 0
    assert data["routes"][0]["by_key"] == {"RSA": "One", "ECC": "Three"}
    assert "changes with the cipher suite" in data["routes"][0]["notes"][0]


def by_name(folder: Path, root: pki.Cert) -> Behaviour:
    """A server with several names: the asked one's certificate, and its own for everybody else."""
    named, other = context(folder / "named", [pki.server(HOST, root)]), context(folder / "other", [pki.server("other.example", root)])

    def choose(tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        tls.context = named if name == HOST else other

    other.sni_callback = choose
    return echo(other)


def test_what_the_server_says_to_another_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = pki.root("Lab Root")
    with Server(by_name(tmp_path, root)) as server:
        code, data = probe(capsys, server, "--ca", root_file(tmp_path, "Lab", root))
    row = data["routes"][0]
    assert code == 0 and row["other_name"] == row["no_name"] == "another certificate, for other.example"


def test_an_untrusted_chain_names_who_signed_it_and_the_error_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    portal = pki.root("Portal CA")
    with Server(echo(context(tmp_path / "s", [pki.server(HOST, portal)]))) as server:
        code, data = probe(capsys, server)
        assert server.count > 2
    verdict = data["verdict"]
    assert code == 1 and (verdict["error"], verdict["kind"], verdict["connects"]) == ("TrustError", "trust", False)
    assert "Portal CA" in verdict["text"] and "Portal CA" in data["routes"][0]["wanted"] and verdict["hint"]
    assert len(verdict["tried"]) == 2, "a device confirms before it believes"


def test_a_chain_is_seen_even_when_a_client_certificate_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, devices = pki.root("Lab Root"), pki.root("Device CA")
    device = pki.client("ws-1", devices)
    (tmp_path / "crt.pem").write_bytes(device.pem)
    (tmp_path / "key.pem").write_bytes(device.key_pem)
    lab = root_file(tmp_path, "Lab", root)
    with Server(echo(context(tmp_path / "s", [pki.server(HOST, root)], devices))) as server:
        code, data = probe(capsys, server, "--ca", lab)
        assert code == 0 and data["verdict"]["without_client_certificate"] is True and data["routes"][0]["all_roots"] == "Lab"
        assert data["routes"][0]["client_certificate"].startswith("asked for, and needed")
        shown = ["--certificate", str(tmp_path / "crt.pem"), "--key", str(tmp_path / "key.pem")]
        code, data = probe(capsys, server, "--ca", lab, *shown)
        assert code == 0 and data["verdict"]["connects"] is True
        stranger = pki.client("ws-1", pki.root("Stranger CA"))
        (tmp_path / "crt.pem").write_bytes(stranger.pem)
        (tmp_path / "key.pem").write_bytes(stranger.key_pem)
        code, data = probe(capsys, server, "--ca", lab, *shown)
        assert code == 1 and data["verdict"]["error"] == "RefusedError"


def test_the_clock_of_the_device_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = pki.root("Lab Root")
    with Server(echo(context(tmp_path / "s", [pki.server(HOST, root)]))) as server:
        code, data = probe(capsys, server, "--ca", root_file(tmp_path, "Lab", root), "--clock", "2001-01-01")
    assert code == 1 and data["verdict"]["error"] == "ClockError"


@pytest.mark.parametrize(
    ("behaviour", "text"),
    [
        (behaviours.PORTAL, "does not speak TLS"),
        (behaviours.at_once, "closed the connection"),
        (behaviours.reset_after_hello, "reset"),
        (behaviours.ALERT_HANDSHAKE_FAILURE, "handshake failure"),
        (None, "refused"),
    ],
    ids=["portal", "eof", "reset", "alert", "nobody"],
)
def test_what_the_network_does_is_a_network_error(behaviour: Behaviour | None, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    if behaviour is None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # bound and not listening: refused at once
            code, data = probe(capsys, f"127.0.0.1:{nobody.getsockname()[1]}")
    else:
        with Server(behaviour) as server:
            code, data = probe(capsys, server)
    assert code == 1 and data["verdict"]["error"] == "NetworkError"
    assert text in data["routes"][0]["error"] and text in data["verdict"]["text"]


def test_a_silent_server_costs_the_timeout_and_no_more() -> None:
    with Server(behaviours.half_open) as server:
        host, port = server.address.split(":")
        attempt = handshake(ProbeTarget(HOST, 8883, (host, int(port))), timeout=0.3)
    assert not attempt.done and "time is up" in attempt.error and 0.25 < attempt.seconds < 3


def test_a_server_with_tls_1_3_only_is_none_for_a_device(tmp_path: Path) -> None:
    made = context(tmp_path, [pki.server(HOST, pki.root("Lab Root"))])
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    with Server(echo(made)) as server:
        host, port = server.address.split(":")
        target = ProbeTarget(HOST, 8883, (host, int(port)))
        assert not handshake(target).done and handshake(target, newest=ssl.TLSVersion.TLSv1_3).done


def test_the_name_is_resolved_and_a_name_that_is_none_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    attempt = handshake(ProbeTarget("nowhere.invalid", 8883), timeout=5)
    assert "cannot be resolved" in attempt.error and not attempt.peer


@pytest.mark.parametrize(
    "arguments",
    [
        ["1.2.3.4"],
        [""],
        [f"{HOST}:x"],
        [f"{HOST}:0"],
        [HOST, "--address", "x"],
        [HOST, "--certificate", "x"],
        ["none.yaml"],
        [HOST, "--ca", "none"],
    ],
)
def test_wrong_arguments_are_one_sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trust", "probe", *arguments]) == 2
    shown = capsys.readouterr()
    assert not shown.out and "next:" in shown.err and "Traceback" not in shown.err


PRODUCT = """\
product: probed
board: esp32-generic
cloud:
  routes:
  - {{name: ats, endpoint: {host}, roots: [Ats]}}
  - {{name: legacy, endpoint: abc.iot.us-east-1.amazonaws.com, roots: [Legacy]}}
roots:
  Ats: {{file: Ats.pem, sha256: "{ats}"}}
  Legacy: {{file: Legacy.pem, sha256: "{legacy}"}}
identity: {{certificate: "{{device}}.crt.pem", key: "{{device}}.key.pem"}}
lab:
  resolve: {{"{host}:8883": "{at_ats}", "*.iot.us-east-1.amazonaws.com:8883": "{at_legacy}"}}
"""


def test_a_product_is_probed_route_by_route_and_fails_over_as_its_device_would(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ats, legacy, devices = pki.root("ATS"), pki.root("Legacy"), pki.root("Device CA")
    device = pki.client("ws-1", devices)
    (tmp_path / "ws-1.crt.pem").write_bytes(device.pem)
    (tmp_path / "ws-1.key.pem").write_bytes(device.key_pem)
    root_file(tmp_path, "Ats", ats)
    root_file(tmp_path, "Legacy", legacy)
    pair = "abc.iot.us-east-1.amazonaws.com"
    wrong = echo(context(tmp_path / "a", [pki.server(HOST, pki.root("Nobody"))], devices))
    right = echo(context(tmp_path / "b", [pki.server(pair, legacy)], devices))
    with Server(wrong) as one, Server(right) as two:
        file = tmp_path / "product.yaml"
        prints = {"ats": fingerprint(ats), "legacy": fingerprint(legacy)}
        file.write_text(PRODUCT.format(host=HOST, at_ats=one.address, at_legacy=two.address, **prints))
        assert run(["trust", "probe", str(file), "--device", "ws-1", "--json"]) == 0
        data = json.loads(capsys.readouterr().out)
        assert run(["trust", "probe", str(file), "--device", "ws-1"]) == 0
        text = capsys.readouterr().out
        assert run(["trust", "check", str(tmp_path / "Ats.pem"), "--product", str(file)]) == 0
        assert "is the known root Ats" in capsys.readouterr().out
    assert (data["verdict"]["route"], data["verdict"]["root"]) == ("legacy", "Legacy")
    assert [(t["route"], t["kind"]) for t in data["verdict"]["tried"]] == [("ats", "trust"), ("ats", "trust"), ("legacy", None)]
    assert data["lab"] is True and "after ats was not to be trusted" in text


def fingerprint(cert: pki.Cert) -> str:
    import hashlib

    return hashlib.sha256(cert.der).hexdigest()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the stand-in runs on Linux")
def test_both_endpoints_of_the_stand_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from provisioning.standin import StandIn

    with StandIn(state=tmp_path) as cloud:
        certificate, key = cloud.issue("ws-1")
        roots = [a for path in cloud.roots.values() for a in ("--ca", str(path))]
        for route in cloud.routes:
            argv = ["trust", "probe", route["endpoint"], "--address", f"{route['host']}:{route['port']}", *roots, "--json"]
            assert run([*argv, "--certificate", str(certificate), "--key", str(key)]) == 0
            data = json.loads(capsys.readouterr().out)
            assert data["verdict"]["root"] == route["root"]
            assert data["routes"][0]["client_certificate"] == "asked for, and accepted"


def records(messages: bytes) -> bytes:
    return b"".join(b"\x16\x03\x03" + len(part).to_bytes(2, "big") + part for part in (messages[:9], messages[9:]) if part)


@given(
    st.binary(max_size=400) | st.binary(max_size=200).map(records) | st.binary(max_size=200).map(lambda b: records(b"\x0b\x00\x00\xff" + b))
)
def test_whatever_a_server_sends_can_be_looked_at(data: bytes) -> None:
    seen = _Seen(data)
    assert isinstance(seen.chain, tuple) and (seen.alert is None or 0 <= seen.alert <= 255)
    found, text, _ = classify(HandshakeAttempt(False, seen.chain, error="x"), {}, HOST, datetime.now(timezone.utc))
    assert found == "network" and text


def test_a_chain_split_over_records_is_put_together() -> None:
    cert = pki.root("Lab Root").der
    body = len(cert).to_bytes(3, "big") + cert
    body = len(body).to_bytes(3, "big") + body
    assert _Seen(records(b"\x0b" + len(body).to_bytes(3, "big") + body)).chain == (cert,)
