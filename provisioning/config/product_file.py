"""The keys of a product file, as people write them; product.py is what becomes of it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from provisioning.config.validate import BlockModel, as_secret, number_from_env, problem
from provisioning.config.values import Secret
from provisioning.trust.providers import PROVIDERS

# Product and route names become JSON values, ledger entries and file names on every system: a small alphabet.
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

SecretText = Annotated[
    Secret,
    PlainValidator(as_secret),
    WithJsonSchema({"type": "string", "description": "a text, best as !secret NAME or !env NAME"}),
]
_ENV = BeforeValidator(number_from_env)
Port = Annotated[int, Field(ge=1, le=65535), _ENV]
Version = Annotated[int, Field(ge=1, le=2**31 - 1), _ENV]
_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


def _host(value: str) -> str:
    if "://" in value or "/" in value:
        raise problem(
            f"found {value[:80]!r}, expected a host name without https:// and path", "Write what is between '//' and the next '/'."
        )
    if re.fullmatch(r"[^:]+:\d+", value):
        raise problem(f"found {value[:80]!r}, expected a host name without port", "The port has a key of its own: `port: 8883`.")
    if "{" in value:
        raise problem(f"found {value[:80]!r}: {{fields}} are not filled in here", "They are in client_id, identity and wifi.")
    if not value.isascii() or len(value) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in value.rstrip(".").split(".")):
        raise problem(f"found {value[:80]!r}, expected a host name", "A host name has letters, digits, '-' and '.', nothing else.")
    return value.rstrip(".").lower()


Host = Annotated[str, AfterValidator(_host)]


def _provider(value: str) -> str:
    if value not in PROVIDERS:
        raise problem(f"found {value[:60]!r}, expected a provider", f"There are {', '.join(PROVIDERS)}.")
    return value


class RouteFile(BlockModel):
    """One way to the cloud: an endpoint and the roots that may anchor its certificate."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", description="a short name in lower case, such as ats")
    endpoint: Host = Field(description="a host name")
    roots: list[str] = Field(min_length=1, description="a list of at least one root: a name in certs/ or under 'roots'")
    port: Port | None = Field(default=None, description="a TCP port, a number from 1 to 65535")


class Cloud(BlockModel):
    """Where the device connects."""

    provider: Annotated[str, AfterValidator(_provider)] | None = Field(
        default=None,
        description="a provider of docs/providers.md, such as aws; without it the host name decides",
        json_schema_extra={"enum": [*PROVIDERS, None]},
    )
    region: str | None = Field(default=None, pattern=r"^[a-z]{2,4}(-[a-z]+)+-\d+$", description="an AWS region such as us-east-1")
    endpoint: Host | None = Field(default=None, description="the host name of the account's endpoint")
    port: Port = Field(default=8883, description="a TCP port, a number from 1 to 65535")
    routes: list[RouteFile] | None = Field(
        default=None, min_length=1, description="a list of routes in order of preference; without it, derived from endpoint"
    )

    phase: Literal["legacy-only", "legacy-first", "ats-first", "ats-only"] | None = Field(
        default=None, description="a phase of a migration: legacy-only, legacy-first, ats-first or ats-only; derives the routes"
    )

    return_after: Annotated[int, Field(ge=1, le=7 * 86400), _ENV] | None = Field(
        default=None, description="seconds on another route before the first is tried again, 1 to 604800"
    )

    on_silence: Literal["never", "upward", "any"] = Field(
        default="upward",
        description="may a route that has fallen silent be left: never, upward (for roots of better standing) or any (for every route)",
    )

    retired: list[str] = Field(
        default=[],
        description="a list of roots in certs/ or under 'roots' that no older set may use any more once this one is on the device",
    )

    without_alpn: bool = Field(
        default=False, description="true where the endpoint takes MQTT on port 443 without ALPN, as its domain configuration may say"
    )

    @model_validator(mode="after")
    def _somewhere(self) -> Cloud:
        if self.endpoint is None and self.routes is None:
            raise problem("has neither 'endpoint' nor 'routes'", "`twinroot aws endpoint` asks AWS for the endpoint.")
        if self.phase is not None and self.routes is not None:
            raise problem("has both 'phase' and 'routes', expected one of them", "A phase derives the routes from 'endpoint'.")
        return self


class PinnedRoot(BlockModel):
    """A root that certs/ does not have."""

    file: str = Field(description="path of a PEM or DER file, relative to this file")
    sha256: str = Field(description="SHA-256 fingerprint of the certificate, 64 hex digits, in quotes")
    status: Literal["current", "cross-signed", "distrusted"] = Field(
        default="current", description="its standing, current, cross-signed or distrusted: which roots a device may move to on silence"
    )


class WifiKeys(BlockModel):
    """The network the device joins; leave it out when the application does that."""

    ssid: SecretText = Field(description="the name of the network, text of 1 to 32 bytes")
    password: SecretText | None = Field(default=None, description="text of 8 to 63 characters; leave it out for an open network")


class Pkcs11(BlockModel):
    """The CA's key in a PKCS #11 token; OpenSC's pkcs11-tool signs with it."""

    module: str = Field(min_length=1, description="path of the token's PKCS #11 library, such as /usr/lib/softhsm/libsofthsm2.so")
    token: str = Field(min_length=1, description="the token's label")
    id: str | None = Field(
        default=None,
        pattern=r"^([0-9a-fA-F]{2})+$",
        description="the key's id in hex digits, in quotes; not needed where the token has one key",
    )
    pin: SecretText = Field(description="the user's PIN, best as `!secret token_pin`; it is never on a command line")


class Issue(BlockModel):
    """Make keys and certificates of devices here, signed by a factory CA; without this block the files must be there."""

    ca: str = Field(min_length=1, description="path of the CA's certificate, PEM")
    ca_key: str | None = Field(default=None, min_length=1, description="path of the CA's private key, PEM")
    pkcs11: Pkcs11 | None = Field(default=None, description="a block: module, token, id, pin; for a CA's key in a token or an HSM")
    signer: list[str] | None = Field(
        default=None,
        min_length=1,
        description="a list: program and arguments that sign standard input with the CA's key, for keys in a token",
    )
    env: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], SecretText] = Field(
        default_factory=dict, description="environment variables for the signer, such as `TOKEN_PIN: !secret token_pin`"
    )
    kind: Literal["p256", "rsa2048"] = Field(default="p256", description="the kind of device keys, p256 or rsa2048")
    days: Annotated[int, Field(ge=1, le=36525), _ENV] = Field(
        default=3650, description="validity of device certificates in days, 1 to 36525"
    )
    chain: bool = Field(
        default=False,
        description="true to put the CA's certificate behind the device's, for clouds that ask for it",
    )
    keep_key: bool = Field(default=False, description="true to leave the device's key on this host after the device has passed")

    @model_validator(mode="after")
    def _one_signer(self) -> Issue:
        if sum(given is not None for given in (self.ca_key, self.pkcs11, self.signer)) != 1:
            raise problem(
                "has to have one of 'ca_key', 'pkcs11' and 'signer'",
                "`pkcs11` is for a key in a token, `signer` for any other that is not a file.",
            )
        return self


class IdentityFiles(BlockModel):
    """Where the device's certificate and key are, with {fields} filled in per device."""

    certificate: str = Field(min_length=1, description="path of a PEM file, such as 'devices/{device}.crt.pem'")
    key: str = Field(min_length=1, description="path of a PEM file, such as 'devices/{device}.key.pem'")
    issue: Issue | None = Field(default=None, description="a block: ca, one of ca_key, pkcs11 and signer, kind, days")


class Time(BlockModel):
    """Where the device gets the time."""

    servers: list[Host] = Field(default=["pool.ntp.org"], min_length=1, description="a list of at least one NTP server")


_ADDRESS = r"^[^\s:]+:\d{1,5}$"


class Lab(BlockModel):
    """For benches only; every report says when it is there."""

    resolve: dict[Annotated[str, Field(pattern=_ADDRESS)], Annotated[str, Field(pattern=_ADDRESS)]] = Field(
        default_factory=dict, description='entries "host:port": "address:port", the host may have \'*\''
    )
    roots: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(
        default_factory=dict,
        description="class of an endpoint, ats or legacy: a list of roots under 'roots' that anchor the derived routes of that class here",
    )


class App(BlockModel):
    """Files of the user that go along; without this block main.py and boot.py on the board are never touched."""

    main: str | None = Field(default=None, min_length=1, description="path of the file that becomes main.py")
    boot: str | None = Field(default=None, min_length=1, description="path of the file that becomes boot.py")


def _expression(value: str) -> str:
    try:
        made = re.compile(value)
    except re.error as error:
        raise problem(f"found {value[:60]!r}, which is not a regular expression: {error}", "Without one every code is taken.") from None
    if made.groups > 1:
        raise problem(
            f"found {made.groups} groups, expected at most one: the part of the code that the column holds", "Use (?:…) for others."
        )
    return value


class Scan(BlockModel):
    """A label is scanned for each board at the station, and says which device the board becomes; nothing is written before."""

    field: str = Field(
        default="device",
        pattern=r"^[A-Za-z_][A-Za-z0-9_ -]{0,63}$",
        description="the column of the list of devices that the label holds, such as device",
    )
    pattern: Annotated[str, AfterValidator(_expression)] = Field(
        default=".+",
        min_length=1,
        description="a regular expression for the whole code; a group in it is the part that the column holds, such as 'SN:(ws-[0-9]{4})'",
    )


class Updates(BlockModel):
    """Sets that devices take over the air."""

    key: str = Field(min_length=1, description="path of the vendor's public key, PEM, as `twinroot sign new-key` writes it")


class LabelKeys(BlockModel):
    """What is printed for each board that passed."""

    template: str | None = Field(default=None, min_length=1, description="path of a ZPL file with {fields} in its ^FD data")
    qr: str | None = Field(default=None, min_length=1, description="instead: the text of a QR code, with {fields}")
    format: Literal["svg", "png"] = Field(default="svg", description="the form of the QR code's picture, svg or png")
    printer: str | list[str] | None = Field(
        default=None,
        min_length=1,
        description="tcp://HOST:9100, file:PATH with {fields}, or a list: a command and its arguments; TWINROOT_PRINTER goes before it",
    )
    copies: Annotated[int, Field(ge=1, le=20), _ENV] = Field(default=1, description="how many are printed, 1 to 20")
    timeout: float = Field(default=10, ge=0.1, le=120, description="seconds until a printer counts as hanging, 0.1 to 120")
    status: bool = Field(default=True, description="false for a printer on TCP that does not answer ~HS")

    @model_validator(mode="after")
    def _one_kind(self) -> LabelKeys:
        if (self.template is None) == (self.qr is None):
            raise problem("has to have one of 'template' and 'qr'", "A QR code on a Zebra label is ^BQ in the template.")
        return self


class OnPassKeys(BlockModel):
    """A command that is run for each board that passed: the fields of its rows in the ledger as JSON on its standard input."""

    command: list[str] = Field(min_length=1, description="a list: program and arguments; no shell")
    timeout: float = Field(default=30, ge=0.1, le=600, description="seconds until it is ended, 0.1 to 600")
    env: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], SecretText] = Field(
        default_factory=dict, description="environment variables for it, such as `API_TOKEN: !secret api_token`"
    )


class ProductFile(BlockModel):
    """What is put on a board."""

    product: str = Field(pattern=NAME, description="a name of letters, digits, '.', '_' and '-', at most 64")
    version: Version = Field(default=1, description="a whole number from 1 that rises with each release")
    board: str = Field(min_length=1, description="a board's name, or the path of its file")
    cloud: Cloud = Field(description="a block: endpoint, region, port, routes")
    roots: dict[Annotated[str, Field(pattern=NAME)], PinnedRoot] = Field(
        default_factory=dict, description="a block of roots: `Name: {file: …, sha256: …}`"
    )
    wifi: WifiKeys | None = Field(default=None, description="a block: ssid, password")
    identity: IdentityFiles = Field(description="a block: certificate, key, issue")
    client_id: str = Field(default="{device}", min_length=1, max_length=128, description="the MQTT client id, with {fields}")
    time: Time = Field(default_factory=Time, description="a block: servers")
    lab: Lab = Field(default_factory=Lab, description="a block: resolve")
    app: App = Field(default_factory=App, description="a block: main, boot")
    updates: Updates | None = Field(default=None, description="a block: key")
    scan: Scan | None = Field(default=None, description="a block: field, pattern; the label that is scanned for each board at a station")
    label: LabelKeys | None = Field(default=None, description="a block: template or qr, printer, copies, timeout")
    on_pass: OnPassKeys | None = Field(default=None, description="a block: command, timeout, env")
    devices: str | None = Field(default=None, min_length=1, description="path of a CSV of devices, used where the command names none")

    @model_validator(mode="before")
    @classmethod
    def _empty_blocks(cls, data: Any) -> Any:
        # `lab:` with everything under it commented out is an empty block, not a mistake.
        optional = ("roots", "lab", "app", "time", "wifi", "devices", "updates", "label", "on_pass")
        return {k: v for k, v in data.items() if not (v is None and k in optional)} if isinstance(data, dict) else data
