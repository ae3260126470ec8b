"""The identity that a board holds: what it says of itself, and that as the pair of a new set whose key stays where it is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from provisioning.config.device import Device, single_device
from provisioning.errors import BoardError
from provisioning.identity.pair import EPOCH, Pair, check_dates, facts_of_certificate
from provisioning.pem.read import certificates, encode
from provisioning.trust import der

KEPT = "Nothing was written. The board keeps what it has."


@dataclass(frozen=True)
class OnBoard:
    """The set in use of a board, as far as it says who the board is. Hashes are SHA-256 of files, lower-case hex.

    `certificate` is the file's content. `named`: what the set says that certificate and key hash to; `found`: what they hash to.
    `texts`: client_id, ssid and password of that set, where it has them; never shown.
    """

    uid: str
    number: int
    product: str
    device: str
    board: str | None
    certificate: bytes = field(repr=False)
    named: tuple[str, str]
    found: tuple[str, str]
    texts: dict[str, str] = field(repr=False)

    @property
    def fault(self) -> str:
        """What of certificate and key is not there whole, or an empty text."""
        return " and ".join(
            what for what, named, found in zip(("certificate", "key"), self.named, self.found, strict=True) if not named or named != found
        )

    @property
    def unit(self) -> Device:
        """The device that it is, with no more columns than that. Raises InputError for an id that can be none."""
        return single_device(self.device)

    def fingerprint(self) -> str:
        """SHA-256 of the certificate's DER, as ledgers and clouds name it; of nothing when it cannot be read."""
        try:
            leaf_der = certificates(self.certificate)[0]
        except ValueError:
            leaf_der = b""
        return hashlib.sha256(leaf_der).hexdigest()

    def leaf(self) -> der.Certificate | None:
        """Its certificate, where that is whole and can be read."""
        try:
            return None if "certificate" in self.fault else der.certificate(certificates(self.certificate)[0])
        except ValueError:
            return None

    def pair_for_longer(self, pem: bytes, path: Path, now: datetime | None = None) -> Pair:
        """The identity with the certificate `pem` of the file `path`, canonical, of the key that the board has. Raises InputError for one
        that is not valid today."""
        leaf_der = certificates(pem)[0]
        facts = facts_of_certificate(leaf_der, path)
        made = _pair(pem, leaf_der, facts, self.named[1])
        check_dates(made.not_before, made.not_after, path, now or datetime.now(timezone.utc))
        return made

    def pair(self, name: str) -> Pair:
        """The identity without the key's content. Raises BoardError when the board on `name` does not hold it whole."""
        if not self.fault:
            try:
                ders = certificates(self.certificate)
                leaf_der = ders[0]
                canonical = b"".join(encode("CERTIFICATE", each) for each in ders) == self.certificate
                facts = facts_of_certificate(leaf_der, Path(f"the certificate on {name}"))
            except (ValueError, TypeError):
                canonical = False
            if canonical:
                return _pair(self.certificate, leaf_der, facts, self.named[1])
        raise BoardError(
            "identity-damaged",
            f"The {self.fault or 'certificate'} of {self.device} on the board on {name} is not what its set says, so it cannot be kept.",
            f"{KEPT} Update it where the files of {self.device} are, or ask whoever made the product.",
        )


def _pair(pem: bytes, leaf_der: bytes, facts: dict[str, Any], key_sha256: str) -> Pair:
    """Without the key's content."""
    return Pair(
        certificate_pem=pem,
        key_pem=None,
        not_before=EPOCH + timedelta(seconds=facts["not_before"]),
        not_after=EPOCH + timedelta(seconds=facts["not_after"]),
        serial=facts["serial"],
        sha256=hashlib.sha256(leaf_der).hexdigest(),
        key_sha256=key_sha256,
        name=facts["name"],
    )
