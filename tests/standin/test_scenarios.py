"""Each scenario, seen by a client that verifies as a device must: what it does on the wire is what its row says."""

from __future__ import annotations

import socket
import ssl
import time

import pytest

from provisioning.standin import StandIn, mqtt
from provisioning.standin.scenarios import SCENARIOS
from tests.standin.conftest import Client

# X509_V_ERR_* of OpenSSL: the reason for which a chain was refused.
_UNKNOWN_ISSUER = {2, 18, 19, 20, 21}
_VERIFY_CODES = {
    "wrong-root": {19, 20},
    "other-root": {20},
    "same-name-root": {7, 20, 30},  # the signature does not fit, or no issuer with that key identifier
    "cjk-root": {19, 20},
    "self-signed": {18},
    "missing-intermediate": {20, 21},
    "leaf-as-ca": {24, 32, 79, 20},
    "wrong-usage": {26},
    "expired": {10},
    "not-yet-valid": {9},
    "wrong-host": {62},
    "wildcard-depth": {62},
}
_HEALTHY = [name for name, row in SCENARIOS.items() if row.device is None]


@pytest.mark.parametrize("route", ["ats", "legacy"])
@pytest.mark.parametrize("name", _HEALTHY)
def test_valid_chains_are_accepted_and_lead_to_the_broker(cloud: StandIn, name: str, route: str) -> None:
    cloud.scenario(route, name)
    Client(cloud, route).publish(f"healthy/{name}/{route}", b"1")
    seen = cloud.wait_message(topic=f"healthy/{name}/{route}")
    assert (seen["route"], seen["client"], seen["certificate"], seen["payload"]) == (route, "ws-0001", "ws-0001", "1")


@pytest.mark.parametrize("route", ["ats", "legacy"])
@pytest.mark.parametrize("name", list(_VERIFY_CODES))
def test_bad_chains_are_refused_for_their_own_reason(cloud: StandIn, name: str, route: str) -> None:
    cloud.scenario(route, name)
    before = len(cloud.connections())
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        Client(cloud, route).connect()
    assert refused.value.verify_code in _VERIFY_CODES[name], refused.value
    event = cloud.wait_connection(route=route, after=before)
    assert event["scenario"] == name
    assert event["outcome"] == "handshake-failed"


def test_a_chain_to_the_other_root_is_good_for_that_root(cloud: StandIn) -> None:
    """other-root is what its name says, not just any broken chain."""
    cloud.scenario("ats", "other-root")
    Client(cloud, "ats", root="StandInVeriSign").connect().close()


def test_the_same_name_root_has_the_same_name_and_another_key(cloud: StandIn, state: object) -> None:
    from pathlib import Path

    from cryptography import x509

    cloud.scenario("ats", "same-name-root")
    real = x509.load_pem_x509_certificate(cloud.roots["StandInATS"].read_bytes())
    fake = x509.load_pem_x509_certificate((Path(str(state)) / "authorities" / "same-name-ats.pem").read_bytes())
    assert fake.subject == real.subject
    assert fake.public_key() != real.public_key()


def test_sha1_is_refused_by_a_client_with_todays_security_level(cloud: StandIn) -> None:
    cloud.scenario("ats", "sha1")
    with pytest.raises(ssl.SSLCertVerificationError):
        Client(cloud).connect()
    # It is the digest, nothing else: a client that still takes SHA-1 gets through.
    Client(cloud, tune=lambda context: context.set_ciphers("DEFAULT:@SECLEVEL=0")).connect().close()


def test_tls11_only(cloud: StandIn) -> None:
    cloud.scenario("ats", "tls11-only")
    with pytest.raises(ssl.SSLError) as refused:
        Client(cloud).connect()
    assert not isinstance(refused.value, ssl.SSLCertVerificationError)

    def ancient(context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")

    stream = Client(cloud, tune=ancient).connect()
    assert stream.version() == "TLSv1.1"
    stream.close()


def test_refuse_closes_the_port_and_repair_opens_the_same_one(cloud: StandIn) -> None:
    cloud.scenario("ats", "refuse")
    with pytest.raises(ConnectionRefusedError):
        Client(cloud).connect()
    cloud.scenario("ats", "refuse")  # twice in a row changes nothing
    Client(cloud, "legacy").connect().close()
    cloud.repair("ats")
    Client(cloud).connect().close()


def _hello(cloud: StandIn, timeout: float) -> socket.socket:
    route = cloud.route("ats")
    plain = socket.create_connection((route["host"], route["port"]), timeout=timeout)
    plain.sendall(b"\x16\x03\x01\x00\x05hello")
    return plain


def test_reset(cloud: StandIn) -> None:
    cloud.scenario("ats", "reset")
    with _hello(cloud, 5) as plain, pytest.raises(ConnectionResetError):
        plain.recv(1)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_reset_after_records(cloud: StandIn, count: int) -> None:
    cloud.scenario("ats", f"reset-{count}")
    with pytest.raises((ConnectionResetError, ssl.SSLError, BrokenPipeError)):
        stream = Client(cloud).connect()
        # Where the handshake has few records, the reset comes after it.
        stream.sendall(mqtt.connect("x"))
        while True:
            if not stream.recv(64):
                raise ConnectionResetError


def test_eof(cloud: StandIn) -> None:
    cloud.scenario("ats", "eof")
    with _hello(cloud, 5) as plain:
        assert plain.recv(1) == b""


def test_hang(cloud: StandIn) -> None:
    cloud.scenario("ats", "hang")
    with _hello(cloud, 0.5) as plain, pytest.raises(TimeoutError):
        plain.recv(1)


def test_captive(cloud: StandIn) -> None:
    cloud.scenario("ats", "captive")
    with _hello(cloud, 5) as plain:
        assert plain.makefile("rb").read().startswith(b"HTTP/1.1 302 Found")
    with pytest.raises(ssl.SSLError):
        Client(cloud).connect()


def test_slow_sends_something_but_no_handshake_in_time(cloud: StandIn) -> None:
    cloud.scenario("ats", "slow")
    began = time.monotonic()
    route = cloud.route("ats")
    with socket.create_connection((route["host"], route["port"]), timeout=1.5) as plain:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = Client(cloud).context().wrap_bio(incoming, outgoing, server_hostname=route["endpoint"])
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        plain.sendall(outgoing.read())
        assert len(plain.recv(100)) == 1
        assert len(plain.recv(100)) == 1
    assert 0.4 < time.monotonic() - began < 5


def test_mute_shakes_hands_and_stays_silent(cloud: StandIn) -> None:
    cloud.scenario("ats", "mute")
    stream = Client(cloud, timeout=0.7).connect()
    stream.sendall(mqtt.connect("x"))
    with stream, pytest.raises(TimeoutError):
        stream.recv(1)


def test_refuse_client(cloud: StandIn) -> None:
    cloud.scenario("ats", "refuse-client")
    before = len(cloud.connections())
    with pytest.raises(ssl.SSLError, match="ALERT"):
        Client(cloud).connect()
    assert cloud.wait_connection(route="ats", after=before)["outcome"] == "handshake-failed"


def test_refuse_connack(cloud: StandIn) -> None:
    cloud.scenario("ats", "refuse-connack")
    stream, answer = Client(cloud).mqtt()
    with stream:
        assert answer == mqtt.connack(mqtt.NOT_AUTHORIZED)
        assert stream.recv(1) == b""


def test_close_after_connect(cloud: StandIn) -> None:
    cloud.scenario("ats", "close-after-connect")
    stream, answer = Client(cloud).mqtt()
    with stream:
        assert answer == b""


def test_every_scenario_is_proven_here() -> None:
    """A row without a test of its effect is a claim."""
    source = __import__("pathlib").Path(__file__).read_text(encoding="utf-8")
    tested = {name for name in SCENARIOS if f'"{name}"' in source} | set(_HEALTHY) | {f"reset-{count}" for count in (1, 2, 3, 4)}
    assert set(SCENARIOS) == tested


def test_the_document_has_the_table() -> None:
    from pathlib import Path

    document = (Path(__file__).parents[2] / "docs" / "cloud.md").read_text(encoding="utf-8")
    for row in SCENARIOS.values():
        assert f"| `{row.name}` | {row.does} | {row.device or 'connects'} |" in document
