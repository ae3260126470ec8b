"""Certificates for longer, for devices whose own end soon: made by the product's CA over the keys that the boards have, and in the ledger.

No board is touched. `twinroot update` brings one by cable, a signed set over the air (`twinroot sign renewal`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from provisioning.bundle.bundle import RELEASED
from provisioning.config.device import Device
from provisioning.config.document import shown
from provisioning.config.product import Product
from provisioning.config.text_file import is_file
from provisioning.config.unit import client_id, files
from provisioning.errors import InputError, StationError
from provisioning.identity import renewal
from provisioning.identity.pair import EPOCH
from provisioning.identity.signer import Authority
from provisioning.identity.subject import check_name
from provisioning.job.fingerprints import who_and_where
from provisioning.ledger.entry import RENEWAL

if TYPE_CHECKING:
    from provisioning.ledger.store import Ledger
    from provisioning.trust import der

# A clock below the first or above the second is wrong: devices have the same bounds (firmware/twinroot/clock.py).
_FLOOR = EPOCH + timedelta(seconds=RELEASED)
_CEILING = _FLOOR + timedelta(days=9125)
_SLACK = timedelta(hours=1)  # computers of one line may differ


@dataclass(frozen=True)
class Row:
    """One device's part of the report. `result`: "renewed", "valid" (not due), "absent" (no certificate here) or "refused"."""

    device: str
    result: str
    not_after: str = ""  # of the certificate that is here now; days, UTC
    was: str = ""  # of the one that it replaces
    sha256: str = ""
    replaces: str = ""
    issuer: str = ""  # where it is not the one's before
    code: str | None = None
    message: str = ""
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True)
class Order:
    """What is made for whom. `make`: who makes it; `before`: which ones are due."""

    product: Product
    make: renewal.Make
    now: datetime
    before: datetime | None = None

    @classmethod
    def of(cls, product: Product, authority: Authority, days: int, now: datetime, before: datetime | None) -> Order:
        """By the product's own CA. Raises InputError where no certificate that it made would be right."""
        policy = product.identity.issue
        renewal.check_authority(authority, days, now, before)
        return cls(product, renewal.issued_by(authority, days, now, chain=policy is not None and policy.chain), now, before)


def check_clock(now: datetime, ledger: Ledger | None = None) -> None:
    """Raises StationError where this computer's clock says what cannot be: a certificate that it dated would be refused, or never end."""
    newest = [entry.at for entry in ledger.last(1)] if ledger is not None else []
    seen = datetime.fromisoformat(newest[0].replace("Z", "+00:00")) if newest else _FLOOR
    if max(_FLOOR, seen - _SLACK) <= now < _CEILING:
        return
    against = f"the newest row of the ledger is of {seen:%Y-%m-%d %H:%M}" if now < seen - _SLACK and newest else "that cannot be"
    raise _wrong_clock(now, against)


def _wrong_clock(now: datetime, against: str) -> StationError:
    return StationError(
        "clock-implausible",
        f"This computer's clock says {now:%Y-%m-%d %H:%M} UTC, and {against}.",
        "Set the clock: every certificate is dated by it.",
    )


def renew(order: Order, devices: Iterable[Device], ledger: Ledger, progress: Callable[[Row], None] = lambda _row: None) -> list[Row]:
    """Renew what is due of `devices`. What is wrong with one of them is in its row, and the others go on; what is wrong with this station
    (its disk, the CA's token, the ledger) is raised, and the next run goes on where this one stopped."""
    rows = []
    for device in devices:
        try:
            row = _one(order, device, ledger)
        except InputError as error:
            row = Row(device.id, "refused", code=error.code, message=error.message, hint=error.hint)
        rows.append(row)
        progress(row)
    return rows


def _one(order: Order, device: Device, ledger: Ledger) -> Row:
    certificate, key = files(order.product, device)
    if not is_file(certificate):
        return Row(device.id, "absent")
    old = renewal.current(certificate)
    made = renewal.begun(certificate, old)
    if made is None:
        if not renewal.is_due(old, order.now, order.before):
            return Row(device.id, "valid", not_after=_day(old), sha256=renewal.fingerprint(old))
        check_name(old.common_name or "", device, client_id(order.product, device), certificate)
        if order.now < old.not_before:
            raise _wrong_clock(order.now, f"{shown(certificate)} was made after that")
        made = renewal.prepare(certificate, key, old, order.make)
    record(ledger, order.product, device, made)
    renewal.put(certificate, made)
    issuer = made.new.issuer if made.new.issuer_raw != old.issuer_raw else ""
    return Row(device.id, "renewed", _day(made.new), _day(old), made.sha256, made.replaces, issuer)


def record(ledger: Ledger, product: Product, device: Device, made: renewal.Renewed) -> None:
    """The ledger's row, once: before the new certificate counts, so that none is ever in use which the ledger does not know."""
    if made.finished and any(
        entry.fields.get("certificate_sha256") == made.sha256 for entry in ledger.entries(device=device.id, kind=RENEWAL)
    ):
        return
    dates = {f"certificate_{name}": getattr(made.new, name).isoformat().replace("+00:00", "Z") for name in ("not_before", "not_after")}
    row = {
        **who_and_where(job="identity renew"),
        "product": product.name,
        "device": device.id,
        "certificate_sha256": made.sha256,
        "certificate_serial": f"{made.new.serial:x}",
        "replaces": made.replaces,
        "message": f"Valid until {_day(made.new)} instead of {_day(made.old)}, of the same key.",
        **dates,
    }
    ledger.append(RENEWAL, uuid.uuid4().hex, row)


def _day(certificate: der.Certificate) -> str:
    return f"{certificate.not_after:%Y-%m-%d}"


def now() -> datetime:
    """This computer's time, UTC, to the second, as certificates have it."""
    return datetime.now(timezone.utc).replace(microsecond=0)
