"""What holds in every scenario: mutual TLS, server name, attribution, live change, the time server."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time

import pytest

from provisioning.errors import InputError, StationError
from provisioning.standin import StandIn, mqtt
from tests.standin.conftest import Client


def test_no_client_certificate_no_connection(cloud: StandIn) -> None:
    before = len(cloud.connections())
    with pytest.raises(ssl.SSLError, match="ALERT"):
        Client(cloud, device=None).connect()
    event = cloud.wait_connection(after=before)
    assert event["outcome"] == "handshake-failed"
    assert "CERTIFICATE" in event["reason"]


def test_no_client_certificate_with_tls13(cloud: StandIn) -> None:
    """In TLS 1.3 the refusal comes after the client's side of the handshake; no MQTT passes either."""

    def newest(context: ssl.SSLContext) -> None:
        context.maximum_version = ssl.TLSVersion.TLSv1_3

    stream = Client(cloud, device=None, tune=newest).connect()
    assert stream.version() == "TLSv1.3"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        stream.sendall(mqtt.connect("x"))
        if not stream.recv(4):
            raise ConnectionResetError


def test_a_certificate_of_another_ca_is_refused(cloud: StandIn, tmp_path_factory: pytest.TempPathFactory) -> None:
    with StandIn(tmp_path_factory.mktemp("other"), broker="amqtt") as other:
        stranger = other.issue("ws-0001")

        def swap(context: ssl.SSLContext) -> None:
            context.load_cert_chain(*stranger)

        with pytest.raises(ssl.SSLError, match="ALERT"):
            Client(cloud, tune=swap).connect()


def test_both_routes_reach_one_account(cloud: StandIn) -> None:
    """A subscriber on one endpoint hears what is published on the other, as on AWS IoT."""
    stream, answer = Client(cloud, "legacy", device="listener").mqtt()
    with stream:
        assert answer == mqtt.connack(0)
        stream.sendall(mqtt.subscribe("across/#"))
        assert stream.recv(64)[0] >> 4 == mqtt.SUBACK
        Client(cloud, "ats").publish("across/x", b"over")
        packet = mqtt.Parser().feed(stream.recv(64))[0]
        assert mqtt.published(packet) == ("across/x", b"over")
    assert cloud.wait_message(topic="across/x")["route"] == "ats"


def test_the_same_message_on_both_routes_has_its_route(cloud: StandIn) -> None:
    for route in ("ats", "legacy", "ats"):
        after = len(cloud.messages())
        Client(cloud, route, device=f"dev-{route}").publish("same", b"same")
        seen = cloud.wait_message(topic="same", after=after)
        assert (seen["route"], seen["client"]) == (route, f"dev-{route}")


def test_cloud_to_device(cloud: StandIn) -> None:
    stream, _answer = Client(cloud).mqtt()
    with stream:
        stream.sendall(mqtt.subscribe("jobs/ws-0001"))
        stream.recv(64)
        cloud.publish("jobs/ws-0001", "update")
        assert mqtt.published(mqtt.Parser().feed(stream.recv(64))[0]) == ("jobs/ws-0001", b"update")


def test_every_prefix_of_the_region_is_served_as_by_the_real_wildcard(cloud: StandIn) -> None:
    Client(cloud, server_name="zzz999-ats.iot.us-east-1.amazonaws.com").connect().close()


@pytest.mark.parametrize("name", ["zzz-ats.iot.eu-west-1.amazonaws.com", "a.b.iot.us-east-1.amazonaws.com", "localhost"])
def test_names_of_other_endpoints_are_not_served(cloud: StandIn, name: str) -> None:
    before = len(cloud.connections())
    with pytest.raises(ssl.SSLError):
        Client(cloud, server_name=name).connect()
    assert cloud.wait_connection(after=before)["sni"] == name


def test_no_server_name_no_connection(cloud: StandIn) -> None:
    """AWS tells accounts apart by the server name."""

    def unverified(context: ssl.SSLContext) -> None:
        context.check_hostname = False

    route = cloud.route("ats")
    context = Client(cloud, tune=unverified).context()
    with socket.create_connection((route["host"], route["port"]), timeout=5) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain)


def test_breaking_a_route_ends_its_connections_and_no_others(cloud: StandIn) -> None:
    ats, _ = Client(cloud, "ats", device="one").mqtt()
    legacy, _ = Client(cloud, "legacy", device="two").mqtt()
    with ats, legacy:
        cloud.scenario("ats", "wrong-root")
        with pytest.raises((ConnectionError, ssl.SSLError)):
            if not ats.recv(1):
                raise ConnectionResetError
        legacy.sendall(mqtt.publish("still/here", b"1"))
        assert cloud.wait_message(topic="still/here")["route"] == "legacy"
        cloud.repair("ats")
        legacy.sendall(mqtt.publish("still/there", b"2"))
        assert cloud.wait_message(topic="still/there")["route"] == "legacy"


def test_a_client_that_connects_again_ends_its_older_connection(cloud: StandIn) -> None:
    """Over either endpoint and however often, as AWS IoT has it (MQTT-3.1.4-2)."""
    older, _ = Client(cloud, device="twice").mqtt()
    for route in ("legacy", "ats", "legacy"):
        newer, answer = Client(cloud, route, device="twice").mqtt()
        assert answer == mqtt.connack(0)
        with older, contextlib.suppress(ConnectionError, ssl.SSLError):
            assert older.recv(1) == b""
        older = newer
    older.close()


def test_a_resumed_session_does_not_get_around_a_broken_chain(cloud: StandIn) -> None:
    client = Client(cloud)
    context = client.context()
    route = cloud.route("ats")

    def connect(session: ssl.SSLSession | None = None) -> ssl.SSLSession | None:
        with socket.create_connection((route["host"], route["port"]), timeout=5) as plain:
            stream = context.wrap_socket(plain, server_hostname=route["endpoint"], session=session)
            with stream:
                return stream.session

    session = connect()
    assert session is not None
    cloud.scenario("ats", "wrong-root")
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(session)


def test_garbage_after_the_handshake_disturbs_no_other_client(cloud: StandIn) -> None:
    stream = Client(cloud).connect()
    with stream:
        stream.sendall(b"\xff" * 512)
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            stream.recv(16)
    Client(cloud).publish("after/garbage", b"1")
    assert cloud.wait_message(topic="after/garbage")


def _ask_time(cloud: StandIn) -> bytes:
    host, port = cloud.ntp.split(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        asking.sendto(b"\x1b" + 39 * b"\0" + b"ORIGINAL", (host, int(port)))
        return asking.recv(64)


def test_time_server(cloud: StandIn) -> None:
    def told() -> float:
        return struct.unpack("!I", _ask_time(cloud)[40:44])[0] - 2_208_988_800

    answer = _ask_time(cloud)
    assert len(answer) == 48
    assert answer[0] == 0x1C  # version 3 as asked, mode 4
    assert answer[24:32] == b"ORIGINAL"
    assert abs(told() - time.time()) < 2
    cloud.clock(offset=-20 * 365 * 86400)
    assert abs(told() - time.time() + 20 * 365 * 86400) < 2
    cloud.clock(silent=True)
    with pytest.raises(TimeoutError):
        _ask_time(cloud)


def test_waits_end(cloud: StandIn) -> None:
    began = time.monotonic()
    with pytest.raises(StationError) as none:
        cloud.wait_message(topic="never", timeout=0.2)
    assert none.value.code == "cloud-no-message"
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda cloud: cloud.scenario("ats", "wrong-rot"), "cloud-scenario"),
        (lambda cloud: cloud.scenario("west", "ok"), "cloud-route"),
        (lambda cloud: cloud.issue("../../etc/passwd"), "cloud-device"),
        (lambda cloud: cloud._ask(do="nothing"), "cloud-request"),
    ],
)
def test_wrong_requests_are_answered_with_a_sentence(cloud: StandIn, act: object, code: str) -> None:
    with pytest.raises(InputError) as refused:
        act(cloud)  # type: ignore[operator]
    assert refused.value.code == code
    assert refused.value.message.endswith(".")
    Client(cloud).connect().close()


def test_a_packet_beyond_the_largest_is_refused_by_its_head() -> None:
    parser = mqtt.Parser()
    largest = mqtt.encode(mqtt.PUBLISH, bytes(mqtt.LARGEST))
    assert parser.feed(largest[:8]) == [] and len(parser.feed(largest[8:])) == 1
    with pytest.raises(mqtt.NotMqtt):
        parser.feed(mqtt.encode(mqtt.PUBLISH, bytes(mqtt.LARGEST + 1))[:5])
