"""Who a board is, and what of that stays: decided from its own answer, before anything is written.

In the field a product file and the board are enough. The board says which device it is; certificate and key stay on it, the key without
ever crossing the wire; what the product says is changed. Files on this computer only have to agree with the board where they are there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from provisioning.bundle.bundle import Bundle, Interpreter, Kept, build
from provisioning.config.device import Device, single_device
from provisioning.config.document import shown, wrong
from provisioning.config.product import Product
from provisioning.config.text_file import is_file
from provisioning.config.unit import UnknownField, asks_for_wifi, choose, client_id, files
from provisioning.errors import BoardError
from provisioning.identity import renewal
from provisioning.identity.on_board import KEPT, OnBoard
from provisioning.identity.pair import load_certificate
from provisioning.identity.subject import check_name
from provisioning.job.assign import FoundBoard, NotThatDevice, candidates
from provisioning.job.selftest import mac_text
from provisioning.link import question
from provisioning.link.repl import RawRepl
from provisioning.trust import der


@dataclass(frozen=True)
class Renewal:
    """Two certificates of the same key and device: the board's and the one in a file here. `file_sha256`: of the board's, as its set has
    it; `goes_on`: whether the file's is the later one, and becomes the board's."""

    held: der.Certificate
    here: der.Certificate
    file_sha256: str
    goes_on: bool

    @property
    def replaces(self) -> str | None:
        """Fingerprint of the one that is the board's no more."""
        return renewal.fingerprint(self.held) if self.goes_on else None

    def note(self) -> str:
        """For people."""
        if not self.goes_on:
            return (
                f"The certificate here ends on {self.here.not_after:%Y-%m-%d}; the board has a later one of the same key, until "
                f"{self.held.not_after:%Y-%m-%d}, and keeps it."
            )
        names = "" if self.here.subject_raw == self.held.subject_raw else f" It names {self.here.subject} instead of {self.held.subject}."
        return (
            f"The certificate is renewed, of the same key: until {self.here.not_after:%Y-%m-%d} instead of "
            f"{self.held.not_after:%Y-%m-%d}.{names}"
        )


@dataclass(frozen=True)
class Target:
    """A device, and what its board keeps; `kept` is None where certificate and key are on this computer. `renewal`: where the board's
    certificate and the one here are two, of one key."""

    device: Device
    kept: Kept | None = None
    renewal: Renewal | None = None

    def bundle(self, product: Product, interpreter: Interpreter | None = None) -> Bundle:
        """Raises InputError for files and fields that do not fit."""
        return build(product, self.device, interpreter, self.kept)


@dataclass(frozen=True)
class Choice:
    """Which devices a command means. `device`: the one that it names. `rows`: those whose columns are known. `only`: whether the command
    named them as a list, so that a board which is none of them is not meant."""

    device: Device | None = None
    rows: Sequence[Device] = field(default_factory=tuple)
    only: bool = False

    @property
    def devices(self) -> Sequence[Device]:
        """Those that a board may become."""
        return self.rows if self.device is None else (self.device,)

    @classmethod
    def of(cls, product: Product, device: str | None, devices: Path | None) -> Choice:
        """From --device and --devices. In the field the product's own CSV need not be there. Raises InputError."""
        if devices is None and (product.devices is None or not is_file(product.devices)):
            return cls(single_device(device)) if device is not None else cls()
        rows = choose(product, device, devices)
        return cls(rows[0] if len(rows) == 1 and (device is not None or devices is not None) else None, rows, devices is not None)


def has_files(product: Product, device: Device) -> bool:
    """Whether certificate and key of `device` are on this computer. Raises InputError for fields that it does not have."""
    return all(is_file(path) for path in files(product, device))


def who(repl: RawRepl, product: Product) -> tuple[str, OnBoard | None]:
    """Unique id of the board at the prompt, and who it is; None where it holds no set."""
    return question.who(repl, asks_for_wifi(product))


def target(product: Product, choice: Choice, held: OnBoard | None, name: str) -> Target:
    """What the board on `name`, which is `held`, becomes. Raises BoardError or InputError for a board that is not meant, or that cannot be
    kept whole."""
    device = choice.device
    if held is None:
        if device is None and len(choice.rows) == 1:
            device = choice.rows[0]
        if device is None:
            raise wrong(
                "no-device",
                f"The board on {name} holds no set, so it does not say which device it is, and {shown(product.source)} is for several",
                "Add --device ID for a board without an identity.",
            )
        return Target(device)
    rows = [device] if device is not None else choice.rows
    board = FoundBoard(name, mac_text(held.uid) or held.uid, held.device)
    candidates(board, rows, only=device is not None or choice.only)
    chosen = next((row for row in rows if row.id == held.device), held.unit)
    ours, renewed = _certificate_here(product, chosen), None
    if ours is not None and hashlib.sha256(ours[1]).hexdigest() != held.named[0]:
        renewed = _renewal(product, chosen, held, ours)
        if renewed is None:
            raise other_certificate(name, held.device, held.fingerprint(), shown(ours[0]))
    if held.product != product.name and not (ours is not None and has_files(product, chosen)):
        # Where the board's own key is here it is this line's board, and the product may have got another name.
        raise BoardError(
            "other-product",
            f"The board on {name} is {held.device} of the product {held.product}, not of {product.name}.",
            f"{KEPT} Take a board of {product.name}, or the product file of {held.product}.",
        )
    if held.fault and ours is not None and has_files(product, chosen):
        return Target(chosen, renewal=renewed)  # what is damaged on the board is here
    pair = held.pair(name)
    if renewed is not None and renewed.goes_on and ours is not None:
        pair = held.pair_for_longer(ours[1], ours[0])
    return Target(chosen, Kept(pair, held.texts), renewed)


def _renewal(product: Product, device: Device, held: OnBoard, ours: tuple[Path, bytes]) -> Renewal | None:
    """The certificate in the file `ours` and the board's, where they are two of the same key; None for another one's. Raises InputError
    for a file that names another device."""
    here, leaf = renewal.leaf(ours[1], ours[0]), held.leaf()
    if leaf is None or not renewal.same_key(here, leaf):
        return None
    check_name(here.common_name or "", device, client_id(product, device, held.texts.get("client_id")), ours[0])
    return Renewal(leaf, here, held.named[0], renewal.is_later(here, leaf))


def other_certificate(name: str, device: str, fingerprint: str, file: str) -> NotThatDevice:
    """The board on `name` holds another certificate than the product names."""
    return NotThatDevice(
        "other-certificate",
        f"The board on {name} holds a certificate of {device} (SHA-256 {fingerprint[:16]}…) that is not the one in {file}.",
        f"{KEPT} The cloud knows the board by the certificate that it holds: find out which of the two is registered.",
    )


def _certificate_here(product: Product, device: Device) -> tuple[Path, bytes] | None:
    """File and content of the device's certificate, where this computer has it. Raises InputError when it is not a certificate."""
    try:
        path = files(product, device)[0]
    except UnknownField:
        return None  # a path that depends on columns that are not known here leads to no file here
    return (path, load_certificate(path)) if is_file(path) else None
