"""No two devices are one: client ids, certificates and keys of a list differ, by name and by content.

AWS IoT closes the older of two connections under one client id, and a certificate on two boards cannot be revoked for one of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from provisioning.config.device import Device
from provisioning.config.document import Loc, shown, wrong
from provisioning.config.product import Product
from provisioning.config.template import fields_of, fill
from provisioning.errors import InputError

# What has to differ from device to device -> its key in the product, and what it is called.
_TEXTS: tuple[tuple[Loc, str, str], ...] = (
    (("client_id",), "client_id", "client id"),
    (("identity", "certificate"), "certificate", "certificate file"),
    (("identity", "key"), "key", "key file"),
)


def templates(product: Product) -> Iterable[tuple[Loc, str, str]]:
    """(place, template, what it is called) of each text that no two devices share."""
    for loc, name, what in _TEXTS:
        yield loc, product.client_id if name == "client_id" else getattr(product.identity, name), what


def check_rows(product: Product, rows: Sequence[Device]) -> None:
    """Raises InputError, with the product's line, when two rows of a list get one client id, certificate file or key file."""
    if len(rows) < 2:
        return
    for loc, template, what in templates(product):
        seen: dict[str, Device] = {}
        for row in rows:
            try:
                text = fill(template, row.fields)
            except KeyError:
                break  # a column that is missing has a sentence of its own
            if not all(row.fields[field] for field in fields_of(template)):
                continue  # so has an empty cell
            # Names that differ in case only are one file on Windows and macOS, and one thing to a person.
            other = seen.setdefault(text.lower(), row)
            if other is not row:
                raise _shared(product, loc, what, template, (other, row))


def _shared(product: Product, loc: Loc, what: str, template: str, pair: tuple[Device, Device]) -> InputError:
    first, second = pair
    fields = ", ".join(f"{{{field}}}" for field in fields_of(template)) or "a text without fields"
    return product.error(
        loc,
        "shared-identity",
        f"{template!r} gives {first.id} and {second.id} ({second.where or second.id}) one {what}, expected one of its own for each device",
        f"Name a field that differs from device to device, such as {{device}}; {fields} does not.",
    )


def check_files(product: Product, rows: Sequence[Device], chosen: Sequence[Device]) -> None:
    """Raises InputError when the certificate or key of a `chosen` device is a copy of that of another row. Files that are not here are not
    looked for."""
    if len(rows) < 2:
        return
    wanted = {device.id for device in chosen}
    for loc, template, what in templates(product):
        if loc == ("client_id",):
            continue
        by_size: dict[int, list[tuple[Device, Path]]] = {}
        for row in rows:
            try:
                path = product.folder / fill(template, row.fields)
                by_size.setdefault(path.stat().st_size, []).append((row, path))
            except (KeyError, OSError, ValueError):
                continue
        for same in by_size.values():
            if len(same) > 1 and any(row.id in wanted for row, _ in same):
                _compare(same, what, wanted)


def _compare(same: list[tuple[Device, Path]], what: str, wanted: set[str]) -> None:
    seen: dict[bytes, tuple[Device, Path]] = {}
    for row, path in same:
        try:
            digest = hashlib.sha256(path.read_bytes()).digest()
        except OSError:
            continue
        other, its = seen.setdefault(digest, (row, path))
        if other is not row and (row.id in wanted or other.id in wanted):
            raise wrong(
                "shared-identity",
                f"{shown(path)}: the {what} of {row.id} is a copy of {shown(its)}, that of {other.id}",
                "Each device needs a key and a certificate of its own: a copy cannot be told apart, nor revoked alone.",
            )
