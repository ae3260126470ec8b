"""What a cloud provider is, as far as this product touches it. One file per provider in this folder fills this form in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`host` is in lower case without a trailing dot (as given when `invalid`); `pair` is a host; `notes` say what is inferred or wrong.

    `cls`: a class of its provider (`Provider.classes`), or custom | invalid. `partition`: a part of the provider's cloud with names of its
    own | None. `roots` may anchor it; `device_roots` are those of them that a device carries unless the product says otherwise.
    """

    host: str
    cls: str
    region: str | None = None
    partition: str | None = None
    pair: str | None = None
    roots: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    provider: str | None = None
    device_roots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """What a server of a provider shows a probe; what it does not say is not looked at.

    `client_certificate`: whether it asks a client for one. `roots`: its chain ends in one of the roots of its endpoint's class.
    """

    client_certificate: bool | None = None
    roots: bool = False


@dataclass(frozen=True, slots=True)
class Provider:
    """`name`: as `cloud.provider` of a product writes it. `title`: as people call it."""

    name: str
    title: str
    # What a host name (lower case, a right one) is to this provider; None: not its name. `invalid` where nobody can own such a name.
    read: Callable[[str], Endpoint | None]
    # Class -> with its article, as in "which is … endpoint"; those of `no_data` speak no MQTT for a device.
    classes: Mapping[str, str]
    no_data: frozenset[str] = frozenset()
    roots: tuple[str, ...] = ()  # all roots of certs/ that anchor endpoints of its
    resembles: Callable[[str], str | None] = field(default=lambda name: None)  # what a name says that looks like one of its and is none
    # Whether any host may be its, anchored by the roots that the product pins: the provider is then named in the product.
    any_host: bool = False
    port_443: str = ""  # what is in the way of MQTT on that port, empty where nothing is
    without_alpn: bool = False  # whether an account's own settings can take that away, which the product then says
    # Form of an MQTT client id, at most `client_id_bytes` of UTF-8, and the rule in words.
    client_id: re.Pattern[str] = field(default=re.compile(r".+", re.DOTALL))
    client_id_bytes: int = 65535  # MQTT 3.1.1, 1.5.3
    client_id_rule: str = ""
    user: str = ""  # the MQTT user name that it asks for, with {host} and {client_id}
    topics: Mapping[str, str] = field(default_factory=dict)  # what a device publishes and subscribes there, with {client_id} -> for what
    shown: Shown = field(default=Shown())  # what `twinroot trust probe` compares a live server with
    sources: tuple[str, ...] = ()  # where the facts are from


def invalid(host: str, why: str) -> Endpoint:
    """A name that cannot be an endpoint."""
    return Endpoint(host, "invalid", notes=(why,))
