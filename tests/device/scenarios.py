"""The hostile-server table: what the server of one route does, and what the device must make of it.

Columns, one per clock of the device: the right time; 2000 (RTC never set, below the set's floor, no time server); 2040
(after every certificate here has expired).

    ok        connected on this route
    change    trust evidence, confirmed by a second handshake: connected on the other route instead
    any other kind of failure, raised; the other route is not tried, and nothing is remembered
"""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.device import behaviours as b
from tests.device.server import Behaviour, context, echo
from tests.device.sha1 import resigned
from tests.support import pki
from tests.support.pki import UTC, Cert, name

PAST = {"start": dt.datetime(2020, 1, 1, tzinfo=UTC), "end": dt.datetime(2023, 1, 1, tzinfo=UTC)}
FUTURE = {"start": dt.datetime(2033, 1, 1, tzinfo=UTC), "end": dt.datetime(2036, 1, 1, tzinfo=UTC)}


@dataclass
class Site:
    """Where a scenario takes place: host name of the route, its roots, and what the other side trusts."""

    folder: Path
    host: str
    kind: str
    root: Cert
    other: Cert
    devices: Cert

    def leaf(self, signer: Cert, **options: Any) -> Cert:
        return pki.server(self.host, signer, kind=self.kind, **options)

    def middle(self, signer: Cert, common: str = "Test Intermediate", **options: Any) -> Cert:
        return pki.make(name(common), signer, **{"kind": self.kind, "ca": True, **options})

    def context(self, *chain: Cert, client_ca: Cert | None = None) -> ssl.SSLContext:
        return context(self.folder, list(chain), client_ca or self.devices)


Chain = Callable[[Site], list[Cert]]


@dataclass(frozen=True)
class Scenario:
    name: str
    right: str
    in_2000: str
    in_2040: str
    serve: Callable[[Site], Behaviour | None] = field(repr=False)  # None: nobody listens
    roots: Callable[[Site], dict[str, bytes]] | None = field(default=None, repr=False)  # PEM by name; default: site.root
    timeout: float = 20  # seconds; only a server that never answers is waited for so long
    change: dict[str, Any] = field(default_factory=dict)  # of set.json
    connections: int | None = None  # to this route with the right clock, where the class does not say it
    look_up: int | None = None  # what getaddrinfo raises on the device for the route's host; the bench's table leaves it out

    def expected(self, clock: str) -> str:
        return {"right": self.right, "2000": self.in_2000, "2040": self.in_2040}[clock]


def chain(build: Chain) -> Callable[[Site], Behaviour]:
    """A server that speaks TLS properly, with this chain."""
    return lambda site: echo(site.context(*build(site)))


def old_tls(version: ssl.TLSVersion) -> Callable[[Site], Behaviour]:
    def serve(site: Site) -> Behaviour:
        made = site.context(site.leaf(site.root))
        made.minimum_version = made.maximum_version = version
        return echo(made)

    return serve


def ciphers(text: str) -> Callable[[Site], Behaviour]:
    def serve(site: Site) -> Behaviour:
        made = site.context(site.leaf(site.root))
        made.maximum_version = ssl.TLSVersion.TLSv1_2
        made.set_ciphers(text)
        return echo(made)

    return serve


def twin(site: Site) -> Cert:
    """Another CA with the same subject name as the real root."""
    return pki.make(site.root.certificate.subject, kind=site.kind, label="twin", ca=True)


def bent(cert: Cert) -> Cert:
    """The same with the last bit of its signature changed."""
    der = cert.der[:-1] + bytes((cert.der[-1] ^ 1,))
    return Cert(x509.load_der_x509_certificate(der), cert.key)


def bent_middle(site: Site) -> list[Cert]:
    m = bent(site.middle(site.root))
    return [site.leaf(m), m]


def wrong_order(site: Site) -> list[Cert]:
    one = site.middle(site.root)
    two = site.middle(one, "Second Intermediate")
    return [site.leaf(two), one, two]


def cut(records: int, part: bool = False) -> Callable[[Site], Behaviour]:
    return lambda site: b.reset_at_record(tls12(site), records, part)


def wrong_usage(site: Site) -> list[Cert]:
    m = site.middle(site.root, key_usage={"digital_signature": True})
    return [site.leaf(m), m]


def through(*options: dict[str, Any]) -> Chain:
    """leaf, intermediate, root; keyword changes for leaf and intermediate."""
    leaf, middle = ([*options, {}, {}])[:2]

    def build(site: Site) -> list[Cert]:
        m = site.middle(site.root, **middle)
        return [site.leaf(m, **leaf), m]

    return build


def sha1_middle(site: Site) -> list[Cert]:
    m = resigned(site.middle(site.root), site.root)
    return [site.leaf(m), m]


def leaf_as_ca(site: Site) -> list[Cert]:
    stolen = pki.server("honest.example", site.root, kind=site.kind)
    return [site.leaf(stolen), stolen]


def path_too_long(site: Site) -> list[Cert]:
    one = site.middle(site.root, path_length=0)
    two = site.middle(one, "Second Intermediate")
    return [site.leaf(two), two, one]


def cross_signed(site: Site) -> list[Cert]:
    """A new root, known to nobody yet, cross-signed by the one that is trusted."""
    new = pki.root("New Root", site.kind)
    bridge = pki.make(new.certificate.subject, site.root, kind=site.kind, label=new.certificate.subject.rfc4514_string(), ca=True)
    return [site.leaf(new), bridge]


def portal_chain(site: Site, host: str | None = None) -> list[Cert]:
    ca = pki.root("Portal CA", site.kind)
    m = site.middle(ca, "Portal Intermediate")
    return [pki.server(host or site.host, m, kind=site.kind), m]


def named(*hosts: str) -> Chain:
    return lambda site: [site.leaf(site.root, hosts=tuple(h.format(host=site.host, tail=site.host.split(".", 1)[1]) for h in hosts))]


def good(site: Site) -> list[Cert]:
    return [site.leaf(site.root)]


def file_root(content: bytes) -> Callable[[Site], dict[str, bytes]]:
    return lambda site: {"Broken": content}


OK = ("ok", "clock", "clock")
CHANGE = ("change", "clock", "clock")
HOST = ("hostname", "clock", "clock")
CLOCK = ("clock", "clock", "clock")
NETWORK = ("network", "clock", "network")
SET = ("set", "clock", "set")
REFUSED = ("refused", "clock", "clock")  # in 2040 the server's chain fails before our certificate is asked for


def table() -> Iterator[Scenario]:
    s = Scenario
    # Chains that must be accepted.
    yield s("root signs leaf", *OK, chain(good))
    yield s("one intermediate", *OK, chain(through()))
    yield s("two intermediates", *OK, chain(lambda x: [x.leaf(n := x.middle(m := x.middle(x.root), "Second")), n, m]))
    yield s("root sent along", *OK, chain(lambda x: [x.leaf(x.root), x.root]))
    yield s("useless certificate sent along", *OK, chain(lambda x: [x.leaf(x.root), x.other]))
    yield s(
        "intermediates in wrong order (RFC 5246, 7.4.2)",
        *CHANGE,
        chain(wrong_order),
    )
    yield s("cross-signed new root", *OK, chain(cross_signed))
    yield s("wildcard for the region", *OK, chain(named("*.{tail}")))
    yield s("name in capitals", *OK, chain(lambda x: [x.leaf(x.root, hosts=(x.host.upper(),))]))
    yield s("right name among others", *OK, chain(named("a.example", "b.example", "{host}")))
    yield s("no subjectAltName, right common name", *OK, chain(lambda x: [pki.make(name(x.host), x.root, kind=x.kind)]))
    yield s("second root of the route", *OK, chain(good), lambda x: {"First": x.other.pem, "Second": x.root.pem})
    yield s("server asks for no client certificate", *OK, lambda x: echo(context(x.folder, good(x))))
    yield s("P-256 leaf under this root", *OK, chain(lambda x: [pki.server(x.host, x.root, kind="ec")]))
    yield s("P-384 leaf under this root", *OK, chain(lambda x: [pki.server(x.host, x.root, kind="ec384")]))
    yield s("RSA 2048 leaf under this root", *OK, chain(lambda x: [pki.server(x.host, x.root, kind="rsa")]))
    yield s("RSA 3072 leaf under this root", *OK, chain(lambda x: [pki.server(x.host, x.root, kind="rsa3072")]))
    # Chains that must not be trusted: evidence about the root.
    yield s("unknown CA", *CHANGE, chain(lambda x: [x.leaf(pki.root("Nobody", x.kind))]))
    yield s("the other route's root", *CHANGE, chain(lambda x: [x.leaf(x.other)]))
    yield s("unknown CA with the root's subject name", *CHANGE, chain(lambda x: [x.leaf(twin(x))]))
    yield s("the same, sent along", *CHANGE, chain(lambda x: [x.leaf(t := twin(x)), t]))
    yield s("the same, with an intermediate", *CHANGE, chain(lambda x: [x.leaf(m := x.middle(twin(x))), m]))
    yield s("self-signed", *CHANGE, chain(lambda x: [pki.make(name(x.host), kind=x.kind, hosts=(x.host,))]))
    yield s("self-signed with CA flag", *CHANGE, chain(lambda x: [pki.make(name(x.host), kind=x.kind, hosts=(x.host,), ca=True)]))
    yield s("leaf used as CA", *CHANGE, chain(leaf_as_ca))
    yield s("missing intermediate", *CHANGE, chain(lambda x: [x.leaf(x.middle(x.root))]))
    yield s("intermediate without CA flag", *CHANGE, chain(through({}, {"ca": False})))
    yield s("path length exceeded", *CHANGE, chain(path_too_long))
    yield s("intermediate may not sign", *CHANGE, chain(wrong_usage))
    yield s("leaf for client use only", *CHANGE, chain(lambda x: [x.leaf(x.root, extended=(ExtendedKeyUsageOID.CLIENT_AUTH,))]))
    yield s("one bit of the leaf's signature changed", *CHANGE, chain(lambda x: [bent(x.leaf(x.root))]))
    yield s("one bit of the intermediate's signature changed", *CHANGE, chain(bent_middle))
    yield s("RSA 1024 leaf", *CHANGE, chain(lambda x: [pki.server(x.host, x.root, kind="rsa1024")]))
    yield s("leaf signed with SHA-1", *CHANGE, chain(lambda x: [resigned(x.leaf(x.root), x.root)]))
    yield s("intermediate signed with SHA-1", *CHANGE, chain(sha1_middle))
    yield s("portal with its own chain for this name", *CHANGE, chain(portal_chain))
    yield s(
        "portal once, then the real server",
        *OK,
        lambda x: b.sequence(echo(context(x.folder / "portal", portal_chain(x))), echo(context(x.folder, good(x), x.devices))),
        connections=2,
    )
    yield s(
        "portal once, then silence",
        "network",
        "clock",
        "clock",
        lambda x: b.sequence(echo(context(x.folder / "portal", portal_chain(x))), b.reset_after_hello),
    )
    # Dates: never evidence.
    yield s("expired leaf", *CLOCK, chain(lambda x: [x.leaf(x.root, **PAST)]))
    yield s("leaf not yet valid", "clock", "clock", "clock", chain(lambda x: [x.leaf(x.root, **FUTURE)]))
    yield s("expired intermediate", *CLOCK, chain(through({}, PAST)))
    yield s("expired, and unknown CA", *CLOCK, chain(lambda x: [x.leaf(pki.root("Nobody", x.kind), **PAST)]))
    yield s("expired, and wrong host", *CLOCK, chain(lambda x: [x.leaf(x.root, hosts=("x.example",), **PAST)]))
    yield s("expired, wrong host, unknown CA", *CLOCK, chain(lambda x: [x.leaf(pki.root("N", x.kind), hosts=("x.example",), **PAST)]))
    # Names: never evidence.
    yield s("wrong host", *HOST, chain(named("other.example")))
    yield s("the pair's host", *HOST, chain(named("pair-of-{host}")))
    yield s("wildcard one label too high", *HOST, chain(named("*.iot.us-east-1.amazonaws.com.example", "*.amazonaws.com")))
    yield s("wildcard in the middle", *HOST, chain(lambda x: [x.leaf(x.root, hosts=("abc.*.us-east-1.amazonaws.com",))]))
    yield s("wildcard for everything", *HOST, chain(named("*")))
    yield s("right common name, wrong subjectAltName", *HOST, chain(named("other.example")))
    yield s("address instead of a name", *HOST, chain(named("127.0.0.1")))
    yield s("wrong host, and unknown CA", *HOST, chain(lambda x: portal_chain(x, "portal.example")))
    # The network: never evidence.
    yield s("name look-up fails, ESP32's number", *NETWORK, lambda x: None, look_up=-202)
    yield s("name look-up fails, EAI_NONAME", *NETWORK, lambda x: None, look_up=-2)
    yield s("nobody listens", *NETWORK, lambda x: None)
    yield s("closed at once", *NETWORK, lambda x: b.at_once)
    yield s("closed after the hello", *NETWORK, lambda x: b.eof_after_hello)
    yield s("reset at once", *NETWORK, lambda x: b.reset)
    yield s("reset after the hello", *NETWORK, lambda x: b.reset_after_hello)
    for n in range(7):
        yield s(
            f"reset instead of record {n + 1}",
            "network",
            "clock",
            # The chain lies in the second record; from the third on the wrong clock shows first or the reset does.
            "network" if n < 2 else "clock|network",
            cut(n),
        )
    for n in range(3):
        yield s(
            f"reset within record {n + 1}",
            "network",
            "clock",
            "network" if n < 2 else "clock|network",
            cut(n, part=True),
        )
    yield s("captive portal, HTTP", *NETWORK, lambda x: b.PORTAL)
    yield s("captive portal, HTTP, speaks first", *NETWORK, lambda x: b.PORTAL_FIRST)
    yield s("garbage", *NETWORK, lambda x: b.GARBAGE)
    yield s("record longer than allowed", *NETWORK, lambda x: b.HUGE_RECORD)
    yield s("alert: unrecognized name", *NETWORK, lambda x: b.ALERT_UNRECOGNIZED_NAME)
    yield s("alert: handshake failure", *NETWORK, lambda x: b.ALERT_HANDSHAKE_FAILURE)
    yield s("half-open", *NETWORK, lambda x: b.half_open, timeout=0.7)
    yield s("slow loris", "network", "clock", "network", lambda x: b.loris(tls12(x)), timeout=0.7)
    yield s("TLS 1.0 only", *NETWORK, old_tls(ssl.TLSVersion.TLSv1))
    yield s("TLS 1.1 only", *NETWORK, old_tls(ssl.TLSVersion.TLSv1_1))
    yield s("no common cipher suite", *NETWORK, ciphers("DHE-RSA-AES128-SHA:AECDH-AES128-SHA:ADH-AES128-SHA"))
    # Refused by the server: about this device, not about a root.
    yield s(
        "client certificate of an unknown CA",
        *REFUSED,
        lambda x: echo(x.context(*good(x), client_ca=pki.root("Somebody Else"))),
    )
    yield s("no client certificate to show", *REFUSED, chain(good), change={"cert": None, "key": None})
    # Our own set.
    yield s("root file missing", *SET, chain(good), lambda x: {"Absent": b""})
    yield s("root file is garbage", *SET, chain(good), file_root(b"-----BEGIN nothing"))
    yield s(
        "root is not a certificate", *SET, chain(good), file_root(b"-----BEGIN CERTIFICATE-----\nAAECAwQF\n-----END CERTIFICATE-----\n")
    )
    yield s("no root loaded", *SET, chain(good), lambda x: {})
    yield s("key file missing", *SET, chain(good), change={"key": "absent.pem"})


def tls12(site: Site) -> ssl.SSLContext:
    made = site.context(site.leaf(site.root))
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_TICKET
    return made


SCENARIOS: tuple[Scenario, ...] = tuple(table())
