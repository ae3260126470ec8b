"""Every way in which an endpoint can behave, as a table: what it does, and which failure class a device must report.

A new kind of damage is a row here; code is needed only when it needs a new word in `Chain`, `Wire` or `After`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from provisioning.errors import InputError
from provisioning.standin.routes import ROUTE_NAMES

# What a device must report; None: it must connect. The words are those of the device package's `.kind`.
Failure = Literal["trust", "clock", "hostname", "network", "refused"]

# Who signed the chain: this route's root, the other route's, a CA that nobody knows, one of them with a name in Chinese, one that only has
# the right subject.
Root = Literal["own", "other", "unknown", "cjk", "same-name"]
# What happens on TCP. tls: a handshake follows.
Wire = Literal["tls", "refuse", "reset", "eof", "hang", "captive"]
# What happens after a good handshake.
After = Literal["broker", "connack-5", "close", "mute"]

# In names: the domain and the region of the account, filled in by the chain's maker.
WILDCARD = ("*.{domain}", "{domain}")


@dataclass(frozen=True)
class Chain:
    """The certificates an endpoint presents. Times count from the moment at which they are made."""

    root: Root = "own"
    sent: tuple[str, ...] = ("leaf", "intermediate")
    names: tuple[str, ...] = WILDCARD
    begins: timedelta = timedelta(days=-1)
    ends: timedelta = timedelta(days=395)
    key: Literal["ec", "rsa"] = "ec"
    # The leaf is signed with SHA-1; needs RSA keys.
    sha1: bool = False
    self_signed: bool = False
    # The leaf is signed by another leaf, which is not a CA.
    leaf_as_ca: bool = False
    # The leaf may only identify a client.
    client_usage: bool = False


@dataclass(frozen=True)
class Scenario:
    """One behaviour of an endpoint."""

    name: str
    does: str
    device: Failure | None
    chain: Chain = field(default_factory=Chain)
    wire: Wire = "tls"
    after: After = "broker"
    # Seconds per byte that the server sends during and after the handshake; 0: at full speed.
    pace: float = 0.0
    # RST after so many TLS records from the server; 0: never.
    records: int = 0
    # False: no client certificate is good enough.
    accepts_clients: bool = True
    tls11: bool = False


_DAY = timedelta(days=1)

_ROWS: tuple[Scenario, ...] = (
    # healthy
    Scenario("ok", "serves a valid chain and the broker behind it", None),
    Scenario("rsa-chain", "serves a valid chain of RSA 2048 keys", None, Chain(key="rsa")),
    Scenario("with-root", "sends its root along with a valid chain", None, Chain(sent=("leaf", "intermediate", "root"))),
    Scenario(
        "cross-signed",
        "sends a valid chain and its root cross-signed by a CA that nobody knows",
        None,
        Chain(sent=("leaf", "intermediate", "cross")),
    ),
    # a chain that must not be trusted
    Scenario("wrong-root", "presents a chain to an unknown CA", "trust", Chain(root="unknown")),
    Scenario("other-root", "presents a chain to the other route's root", "trust", Chain(root="other")),
    Scenario("same-name-root", "presents a chain to an unknown CA with the root's own subject", "trust", Chain(root="same-name")),
    Scenario("cjk-root", "presents a chain to an unknown CA whose name is 19 Chinese characters", "trust", Chain(root="cjk")),
    Scenario("self-signed", "presents a certificate that signs itself", "trust", Chain(self_signed=True, sent=("leaf",))),
    Scenario("missing-intermediate", "sends its certificate without the intermediate", "trust", Chain(sent=("leaf",))),
    Scenario("leaf-as-ca", "presents a certificate signed by one that is not a CA", "trust", Chain(leaf_as_ca=True)),
    Scenario("wrong-usage", "presents a certificate that may only identify clients", "trust", Chain(client_usage=True)),
    Scenario("sha1", "presents a certificate signed with SHA-1", "trust", Chain(key="rsa", sha1=True)),
    # right chain, wrong time or name
    Scenario("expired", "presents a certificate that ended yesterday", "clock", Chain(begins=-90 * _DAY, ends=-_DAY)),
    Scenario("not-yet-valid", "presents a certificate that begins tomorrow", "clock", Chain(begins=_DAY, ends=90 * _DAY)),
    Scenario("wrong-host", "presents another region's certificate", "hostname", Chain(names=("*.iot.eu-north-9.amazonaws.com",))),
    Scenario("wildcard-depth", "presents a wildcard one label too high", "hostname", Chain(names=("*.{region}.amazonaws.com",))),
    # the network
    Scenario("refuse", "keeps its port closed", "network", wire="refuse"),
    Scenario("reset", "answers the first bytes with a reset", "network", wire="reset"),
    *(
        Scenario(f"reset-{count}", f"resets the connection after {count} TLS record{'s'[: count - 1]}", "network", records=count)
        for count in (1, 2, 3, 4)
    ),
    Scenario("eof", "closes the connection in the handshake", "network", wire="eof"),
    Scenario("hang", "accepts and never answers", "network", wire="hang"),
    Scenario("captive", "answers HTTP, as a captive portal does", "network", wire="captive"),
    Scenario("slow", "shakes hands at one byte in half a second", "network", pace=0.5),
    Scenario("tls11-only", "speaks no TLS newer than 1.1", "network", tls11=True),
    Scenario("mute", "shakes hands and never answers CONNECT", "network", after="mute"),
    # the account refuses the device
    Scenario("refuse-client", "refuses every client certificate", "refused", accepts_clients=False),
    Scenario("refuse-connack", "answers CONNECT with CONNACK 5, not authorized", "refused", after="connack-5"),
    Scenario("close-after-connect", "closes the connection after CONNECT", "refused", after="close"),
)
SCENARIOS: dict[str, Scenario] = {row.name: row for row in _ROWS}


def find(name: str) -> Scenario:
    """The scenario of that name; InputError names the nearest one."""
    if name in SCENARIOS:
        return SCENARIOS[name]
    near = difflib.get_close_matches(name, SCENARIOS, n=1)
    raise InputError(
        "cloud-scenario",
        f"'{name}' is not a scenario of the cloud stand-in.",
        (f"Did you mean {near[0]}? " if near else "") + f"There are {', '.join(SCENARIOS)}.",
    )


def check_route(name: str) -> str:
    if name not in ROUTE_NAMES:
        raise InputError("cloud-route", f"'{name}' is not a route of the cloud stand-in.", f"There are {' and '.join(ROUTE_NAMES)}.")
    return name


def parse_one(word: str) -> tuple[str, Scenario]:
    """Route name and scenario from `SCENARIO`, which means the preferred route, or `ROUTE=SCENARIO`. Raises InputError."""
    route, equals, name = word.partition("=")
    return (check_route(route), find(name)) if equals else (ROUTE_NAMES[0], find(word))


def parse(words: Iterable[str]) -> dict[str, Scenario]:
    """Route name -> scenario; routes that no word names are ok."""
    return dict.fromkeys(ROUTE_NAMES, SCENARIOS["ok"]) | dict(parse_one(word) for word in words)
