"""A product, resolved: its board, routes and roots are loaded and checked, paths are absolute."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from provisioning.config.board_type import BoardType
from provisioning.config.document import Document, Loc
from provisioning.config.values import Secret
from provisioning.errors import InputError
from provisioning.trust.roots import STANDINGS, Root
from provisioning.trust.routes import Route

# Bytes: 802.11 for the SSID, WPA2 for the passphrase (64 hex digits are a raw key).
_HEX = frozenset("0123456789abcdefABCDEF")
_WIFI_BYTES = {"ssid": (1, 32), "password": (8, 64)}


def wrong_length(key: str, text: Secret) -> str:
    """What is wrong with the length of a Wi-Fi text, or an empty string."""
    low, high = _WIFI_BYTES[key]
    value = text.reveal()
    size = len(value.encode())
    if key == "password" and size == high and not set(value) <= _HEX:
        return f"{size} characters that are no hexadecimal key, expected {low} to {high - 1}, or {high} hexadecimal digits"
    return "" if low <= size <= high else f"{size} bytes, expected {low} to {high}"


@dataclass(frozen=True)
class WifiAccess:
    """A network; both texts are shown nowhere."""

    ssid: Secret
    password: Secret | None


@dataclass(frozen=True)
class Token:
    """A key in a PKCS #11 token: the library that speaks to it, the token's label, the key's id (None: its only one), the PIN."""

    module: Path
    label: str
    id: str | None
    pin: Secret


@dataclass(frozen=True)
class IssuePolicy:
    """How device keys and certificates are made here; exactly one of `ca_key`, `pkcs11` and `signer` is there."""

    ca: Path
    ca_key: Path | None
    pkcs11: Token | None
    signer: tuple[str, ...]
    env: dict[str, Secret]
    kind: Literal["p256", "rsa2048"]
    days: int
    keep_key: bool
    chain: bool = False


@dataclass(frozen=True)
class ScanRule:
    """`field`: the column of the list of devices that a label holds; `pattern`: a regular expression for the whole code."""

    field: str
    pattern: str


@dataclass(frozen=True)
class IdentityTemplates:
    """Paths relative to the product file, with {fields}; `issue` is None where the files come from elsewhere."""

    certificate: str
    key: str
    issue: IssuePolicy | None = None


@dataclass(frozen=True)
class Label:
    """What is printed for a board that passed: ZPL from `template` (its text), or `qr`, the text of a QR code. `printer`: see
    labels/printer.py; None: the station says it. `sources`: the files that it is made from."""

    template: str
    qr: str | None
    format: Literal["svg", "png"]
    printer: str | tuple[str, ...] | None
    copies: int
    timeout: float
    status: bool
    sources: tuple[Path, ...] = ()


@dataclass(frozen=True)
class OnPass:
    """A command that is run for each board that passed."""

    command: tuple[str, ...]
    timeout: float
    env: dict[str, Secret]


@dataclass(frozen=True)
class Product:
    """What is put on a board. `roots` holds only those that a route uses, in the routes' order."""

    name: str
    version: int
    board: BoardType
    routes: tuple[Route, ...]
    roots: dict[str, Root]
    identity: IdentityTemplates
    client_id: str
    provider: str | None  # of trust.providers; None: a host that no provider's names fit
    wifi: WifiAccess | None
    time_servers: tuple[str, ...]
    return_after: int | None  # seconds on another route before the preferred one is tried again; None: the device's default, an hour
    on_silence: Literal["never", "upward", "any"]  # which routes the silence of one opens
    retired: dict[str, str]  # name -> SHA-256 of roots that no older set on the device may use any more
    lab_resolve: dict[str, str]  # "host:port" with '*' -> "address:port"
    app: dict[str, Path]  # "main.py" and "boot.py" -> file on this host
    devices: Path | None
    scan: ScanRule | None  # at a station a label says which device a board becomes; None: the first free one
    vendor: dict[str, Any] | None  # public key that signs sets over the air: {"n": hex, "e": int}; None: devices take none
    source: Path
    document: Document = field(repr=False, compare=False)
    label: Label | None = None
    on_pass: OnPass | None = None
    lab_roots: dict[str, tuple[Root, ...]] = field(default_factory=dict)  # class of an endpoint -> what anchors its routes on a bench

    def standing(self, route: Route) -> int:
        """Index in STANDINGS: a route stands as the worst of its roots does, for any of them may anchor it."""
        return min(STANDINGS.index(self.roots[name].standing) for name in route.roots)

    @property
    def folder(self) -> Path:
        """What relative paths in the product are relative to."""
        return self.source.parent

    def resolved_addresses(self) -> dict[str, str]:
        """`lab_resolve` without patterns: "host:port" -> "address:port" for the routes it matches, and its plain entries."""
        made = {name: to for name, to in self.lab_resolve.items() if "*" not in name}
        for route in self.routes:
            name = f"{route.host}:{route.port}"
            for pattern, to in self.lab_resolve.items():
                if fnmatchcase(name, pattern):
                    made.setdefault(name, to)
        return made

    def error(self, loc: Loc, code: str, problem: str, hint: str = "", kind: type[InputError] = InputError) -> InputError:
        """An InputError that names file, line and key of this product."""
        return self.document.error(loc, code, problem, hint, kind)
