"""A product filled in for one device: what of it differs from unit to unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from provisioning.config.device import Device, load_devices, single_device
from provisioning.config.distinct import check_files, check_rows
from provisioning.config.document import Loc, shown, wrong
from provisioning.config.nearest import did_you_mean
from provisioning.config.product import Product, wrong_length
from provisioning.config.template import fields_of, fill, fits
from provisioning.config.text_file import is_file
from provisioning.config.values import Secret
from provisioning.errors import FileMissing, InputError
from provisioning.trust.providers import PROVIDERS
from provisioning.untrusted_text import one_line

_CLIENT_ID_BYTES = 128  # AWS IoT's limit, and enough everywhere
_NAME_BYTES, _PATH_BYTES = 255, 4000  # NAME_MAX, and PATH_MAX with space for a temporary name


@dataclass(frozen=True)
class Unit:
    """The texts of one device; `ssid` and `password` are None where the product has no wifi or an open one."""

    client_id: str
    certificate: Path
    key: Path
    ssid: Secret | None
    password: Secret | None


@dataclass(frozen=True)
class Texts:
    """What of a unit is written to the device and differs from unit to unit."""

    client_id: str
    ssid: Secret | None
    password: Secret | None


def unit(product: Product, device: Device) -> Unit:
    """`product` for `device`. Raises InputError, with the product's line, for a field that the device does not have."""
    made = texts(product, device)
    return Unit(made.client_id, *files(product, device), made.ssid, made.password)


def files(product: Product, device: Device) -> tuple[Path, Path]:
    """Where certificate and key of `device` are, if they are on this computer. Raises InputError as `unit`."""
    certificate, key = (_file(product, device, name, getattr(product.identity, name)) for name in ("certificate", "key"))
    return certificate, key


def client_id(product: Product, device: Device, kept: str | None = None) -> str:
    """The MQTT client id of `device`; `kept`: that of the set on its board. Raises InputError with the product's line."""
    text = _filled(product, device, ("client_id",), product.client_id, kept)
    if len(text.encode()) > _CLIENT_ID_BYTES:
        raise product.error(
            ("client_id",),
            "bad-client-id",
            f"is {len(text.encode())} bytes for device {device.id}, expected at most {_CLIENT_ID_BYTES}",
        )
    provider = PROVIDERS[product.provider] if product.provider else None
    if provider and not provider.client_id.fullmatch(text):
        raise product.error(
            ("client_id",),
            "bad-client-id",
            f"is {one_line(text)!r} for device {device.id}, which {provider.title} does not take: {provider.client_id_rule}",
        )
    return text


def texts(product: Product, device: Device, kept: Mapping[str, str] = MappingProxyType({})) -> Texts:
    """The texts of `device`; one with a field that it does not have is the one of `kept` (client_id, ssid, password of the set that its
    board holds), if that is of the product's form. Raises InputError with the product's line."""
    wifi = product.wifi
    return Texts(
        client_id(product, device, kept.get("client_id")),
        _secret(product, device, "ssid", wifi.ssid if wifi else None, kept.get("ssid")),
        _secret(product, device, "password", wifi.password if wifi else None, kept.get("password")),
    )


def asks_for_wifi(product: Product) -> bool:
    """Whether the network of `product` differs from device to device."""
    wifi = product.wifi
    return wifi is not None and any(_has_fields(text) for text in (wifi.ssid, wifi.password) if text is not None)


def needs_device(product: Product) -> bool:
    """Does any text of `product` differ from device to device?"""
    return any(fields_of(text) for text in (product.identity.certificate, product.identity.key))


def own_devices(product: Product) -> list[Device]:
    """The devices of the CSV that the product itself names; none where it names no CSV."""
    if product.devices is None:
        return []
    if not is_file(product.devices):
        raise product.error(
            ("devices",), "file-missing", f"there is no file {shown(product.devices)}", "The path is relative to this file.", FileMissing
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
    check_rows(product, rows)
    if device is None:
        check_files(product, rows, rows)
        return rows
    found = [row for row in rows if row.id == device]
    if not found:
        hint = did_you_mean(device, [row.id for row in rows]) or "Add a line for it."
        raise wrong("unknown-device", f"{shown(csv)}: there is no device {device[:64]!r}", hint)
    check_files(product, rows, found)
    return found


def _file(product: Product, device: Device, key: str, template: str) -> Path:
    loc: Loc = ("identity", key)
    path = product.folder / _filled(product, device, loc, template)
    if any(len(part.encode()) > _NAME_BYTES for part in path.parts) or len(str(path).encode()) > _PATH_BYTES:
        raise product.error(loc, "bad-path", f"gives device {device.id} a path that is too long for a file", "Shorten it.")
    return path


class UnknownField(InputError):
    """A template has a field that is no column of the device."""


def _filled(product: Product, device: Device, loc: Loc, template: str, kept: str | None = None) -> str:
    try:
        text = fill(template, device.fields)
    except KeyError as error:
        if kept is not None and fits(template, device.fields, kept):
            return kept
        name = str(error.args[0])
        if loc[0] == "wifi":  # never repeat a piece of what may be a password
            raise product.error(
                loc, "unknown-field", "has a {field} that is no column", "With !secret NAME braces are taken as they are.", UnknownField
            ) from None
        has = ", ".join(device.fields)
        source = device.where or f"device {device.id}"
        raise product.error(
            loc,
            "unknown-field",
            f"field '{{{name}}}' is not a column of {source}, which has {has}",
            did_you_mean(name, device.fields) or f"Add the column '{name}' to the CSV of devices, and give it with --devices.",
            UnknownField,
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


def _has_fields(secret: Secret) -> bool:
    """Only a text written in the product itself has fields: a password from elsewhere may hold any brace."""
    try:
        return not secret.label.startswith("!") and bool(fields_of(secret.reveal()))
    except ValueError:
        return False


def _secret(product: Product, device: Device, key: str, secret: Secret | None, kept: str | None = None) -> Secret | None:
    if secret is None or not _has_fields(secret):
        return secret
    filled = Secret(_filled(product, device, ("wifi", key), secret.reveal(), kept), secret.label)
    problem = wrong_length(key, filled)
    if problem:
        raise wrong("bad-wifi", f"{device.where or device.id}: for 'wifi.{key}' the columns give {problem}", "Correct that row.")
    return filled
