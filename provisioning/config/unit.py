"""A product filled in for one device: what of it differs from unit to unit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from provisioning.config.device import Device, load_devices, single_device
from provisioning.config.document import Loc, shown, wrong
from provisioning.config.nearest import did_you_mean
from provisioning.config.product import Product, wrong_length
from provisioning.config.template import fields_of, fill
from provisioning.config.text_file import is_file
from provisioning.config.values import Secret

_CLIENT_ID_BYTES = 128  # AWS IoT's limit
_NAME_BYTES, _PATH_BYTES = 255, 4000  # NAME_MAX, and PATH_MAX with room for a temporary name


@dataclass(frozen=True)
class Unit:
    """The texts of one device; `ssid` and `password` are None where the product has no wifi or an open one."""

    client_id: str
    certificate: Path
    key: Path
    ssid: Secret | None
    password: Secret | None


def unit(product: Product, device: Device) -> Unit:
    """`product` for `device`. Raises InputError, with the product's line, for a field that the device does not have."""
    client_id = _filled(product, device, ("client_id",), product.client_id)
    if len(client_id.encode()) > _CLIENT_ID_BYTES:
        raise product.error(
            ("client_id",),
            "bad-client-id",
            f"is {len(client_id.encode())} bytes for device {device.id}, expected at most {_CLIENT_ID_BYTES}",
        )
    return Unit(
        client_id=client_id,
        certificate=_file(product, device, "certificate", product.identity.certificate),
        key=_file(product, device, "key", product.identity.key),
        ssid=_secret(product, device, "ssid", product.wifi.ssid if product.wifi else None),
        password=_secret(product, device, "password", product.wifi.password if product.wifi else None),
    )


def needs_device(product: Product) -> bool:
    """Does any text of `product` differ from device to device?"""
    return any(fields_of(text) for text in (product.identity.certificate, product.identity.key))


def own_devices(product: Product) -> list[Device]:
    """The devices of the CSV that the product itself names; none where it names no CSV."""
    if product.devices is None:
        return []
    if not is_file(product.devices):
        raise product.error(
            ("devices",), "file-missing", f"there is no file {shown(product.devices)}", "The path is relative to this file."
        )
    return load_devices(product.devices)


def choose(product: Product, device: str | None = None, devices: Path | None = None) -> list[Device]:
    """The devices a command means: `--device ID`, `--devices CSV`, both (one row of it), or the product's own CSV.

    Raises InputError where that names no device.
    """
    csv = devices or product.devices
    if csv is None:
        if device is None:
            raise wrong(
                "no-device",
                f"{shown(product.source)} needs to know which device this is",
                "Add --device ID, or --devices CSV for all of a list.",
            )
        return [single_device(device)]
    rows = load_devices(csv) if devices else own_devices(product)
    if device is None:
        return rows
    found = [row for row in rows if row.id == device]
    if not found:
        hint = did_you_mean(device, [row.id for row in rows]) or "Add a line for it."
        raise wrong("unknown-device", f"{shown(csv)}: there is no device {device[:64]!r}", hint)
    return found


def _file(product: Product, device: Device, key: str, template: str) -> Path:
    loc: Loc = ("identity", key)
    path = product.folder / _filled(product, device, loc, template)
    if any(len(part.encode()) > _NAME_BYTES for part in path.parts) or len(str(path).encode()) > _PATH_BYTES:
        raise product.error(loc, "bad-path", f"gives device {device.id} a path that is too long for a file", "Shorten it.")
    return path


def _filled(product: Product, device: Device, loc: Loc, template: str) -> str:
    try:
        text = fill(template, device.fields)
    except KeyError as error:
        name = str(error.args[0])
        if loc[0] == "wifi":  # never repeat a piece of what may be a password
            raise product.error(
                loc, "unknown-field", "has a {field} that is no column", "With !secret NAME braces are taken as they are."
            ) from None
        has = ", ".join(device.fields)
        source = device.where or f"device {device.id}"
        raise product.error(
            loc,
            "unknown-field",
            f"field '{{{name}}}' is not a column of {source}, which has {has}",
            did_you_mean(name, device.fields) or f"Add the column '{name}' to the CSV of devices, and give it with --devices.",
        ) from None
    for name in fields_of(template):
        value = device.fields[name]
        if loc[0] == "identity" and ("/" in value or "\\" in value or value.startswith(".") or not value):
            raise wrong(
                "bad-field",
                f"{device.where or device.id}: column '{name}' becomes part of a path, expected a name without '/'",
                "Correct that cell.",
            )
        if not value or not value.isprintable():
            raise wrong(
                "bad-field", f"{device.where or device.id}: column '{name}' is empty or has unprintable characters", "Correct that cell."
            )
    return text


def _secret(product: Product, device: Device, key: str, secret: Secret | None) -> Secret | None:
    """Only a text written in the product itself has fields: a password from elsewhere may hold any brace."""
    if secret is None or secret.label.startswith("!"):
        return secret
    try:
        has_fields = bool(fields_of(secret.reveal()))
    except ValueError:
        return secret
    if not has_fields:
        return secret
    filled = Secret(_filled(product, device, ("wifi", key), secret.reveal()), secret.label)
    complaint = wrong_length(key, filled)
    if complaint:
        raise wrong("bad-wifi", f"{device.where or device.id}: for 'wifi.{key}' the columns give {complaint}", "Correct that row.")
    return filled
