"""A label as the product says it: its bytes, and the printer they go to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from provisioning.config.product import Label
from provisioning.config.template import fill
from provisioning.errors import InputError
from provisioning.labels import qr, zpl
from provisioning.labels.printer import Printer, address


def render(label: Label, fields: Mapping[str, str]) -> bytes:
    """The bytes for the printer. Raises InputError for a field that this board's rows do not have."""
    try:
        if label.qr is not None:
            return qr.render(fill(label.qr, fields), label.format)
        return zpl.render(label.template, fields, label.copies)
    except KeyError as error:
        raise InputError(
            "label-field",
            f"The label wants {{{error.args[0]}}}, which the ledger does not have of this board.",
            "Take it out of the label.",
        ) from None
    except ValueError:  # segno: more text than the largest QR code holds
        raise InputError("label-field", "The text of the QR code is too long.", "Shorten `qr:`.") from None


def printer(label: Label, folder: Path, where: str | None) -> Printer:
    """The printer at `where` (tcp:// or file:), else the product's. Raises InputError."""
    target = where if where is not None else label.printer
    if target is None:
        raise InputError("no-printer", "It is not said where the label is printed.", "Set TWINROOT_PRINTER, or `printer:` in the product.")
    if isinstance(target, str) and not target.startswith("file:"):
        address(target)
    return Printer(target, folder, label.timeout, label.status and label.qr is None, label.sources)
