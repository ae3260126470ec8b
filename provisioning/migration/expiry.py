"""The days a fleet's owner plans by: ends of device certificates, ends of roots, dates of those who decide what is trusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from provisioning.config.product import Product
from provisioning.config.template import fields_of
from provisioning.config.unit import files, own_devices
from provisioning.errors import InputError
from provisioning.identity.pair import leaf_of
from provisioning.identity.renewal import is_beside
from provisioning.migration.icalendar import Event
from provisioning.pem.tlv import DerError
from provisioning.trust import der
from provisioning.trust.roots import Root

DEVICES, ROOT, POLICY = "device certificates", "root", "policy"

# How many days before: a row of boards takes weeks to renew, a fleet takes years to leave a root.
_ALARMS = {DEVICES: (180, 90, 30), ROOT: (1095, 365, 90), POLICY: (730, 365, 90)}
_DAY = timedelta(days=1)
_MOST_NAMED = 20  # devices in the text of an event


@dataclass(frozen=True)
class Plan:
    """`events` in no order; `certificates` of devices that were read; `absent`: devices of the products' lists whose certificate is not
    on this computer."""

    events: tuple[Event, ...]
    certificates: int
    absent: int


def plan(products: Iterable[Product], roots: Mapping[str, Root]) -> Plan:
    """The events of `roots`, and of the device certificates of `products` that are here. Raises InputError for one that is none."""
    events = [event for root in roots.values() for event in _of_root(root)]
    count = absent = 0
    for product in products:
        found, missing = _certificates(product)
        events += _of_devices(product, found)
        count += len(found)
        absent += missing
    return Plan(tuple(events), count, absent)


def _of_root(root: Root) -> list[Event]:
    about = f"{root.subject}\nSHA-256 {root.sha256}\n`twinroot migrate plan PRODUCT.yaml` says how a fleet leaves a root."
    made = [Event(f"root {root.sha256}", root.not_after.date(), f"Root {root.name} ends; devices refuse it", about, ROOT, _ALARMS[ROOT])]
    for dated in root.policy:
        key = f"policy {root.sha256} {dated.what}"
        made.append(Event(key, dated.date, f"Root {root.name}: {dated.what}", about, POLICY, _ALARMS[POLICY]))
    return made


def _certificates(product: Product) -> tuple[dict[str, date], int]:
    """(name of a device -> last day of its certificate, how many are not here): the devices of the product's list, or, where it has none,
    every file that the product's template fits."""
    if product.devices is not None:
        named = {device.id: files(product, device)[0] for device in own_devices(product)}
    else:
        named = {path.relative_to(product.folder).as_posix(): path for path in _fitting(product)}
    here = {name: path for name, path in named.items() if path.is_file()}
    return {name: _end(path) for name, path in here.items()}, len(named) - len(here)


def _fitting(product: Product) -> list[Path]:
    template = product.identity.certificate
    pattern = template.replace("{{", "[{]").replace("}}", "}")
    for field in fields_of(template):
        pattern = pattern.replace("{" + field + "}", "*")
    path = Path(pattern)
    found = Path(path.anchor).glob(str(path.relative_to(path.anchor))) if path.is_absolute() else product.folder.glob(pattern)
    return sorted(each for each in found if not is_beside(each.name))


def _end(path: Path) -> date:
    try:
        return der.certificate(leaf_of(path)).not_after.date()
    except DerError as error:
        raise InputError(
            "bad-certificate", f"{path} is not a device's certificate: {error}.", "`twinroot trust check` says what a file holds."
        ) from None


def _of_devices(product: Product, found: Mapping[str, date]) -> list[Event]:
    """An event a day: certificates that were made together end together."""
    days: dict[date, list[str]] = {}
    for name, end in found.items():
        days.setdefault(end, []).append(name)
    made = []
    for day, names in days.items():
        many = f"{len(names)} device certificates end" if len(names) > 1 else f"The certificate of {names[0]} ends"
        more = f"\nand {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        text = (
            "Servers refuse the devices afterwards. New ones over the same keys, in time for the boards (docs/renewal.md):\n"
            f"twinroot identity renew {product.source.name} --before {min(day, date.max - _DAY) + _DAY}\n"
        )
        text += "\n".join(sorted(names)[:_MOST_NAMED]) + more
        made.append(Event(f"devices {product.name}", day, f"{product.name}: {many}", text, DEVICES, _ALARMS[DEVICES]))
    return made
