"""What a scanned code means: a device of the list, or a slot of the bench. A scanner is a keyboard that types a code and Enter."""

from __future__ import annotations

import re
from collections.abc import Sequence

from provisioning.config.device import Device
from provisioning.config.document import clip
from provisioning.config.nearest import did_you_mean
from provisioning.config.product import ScanRule
from provisioning.errors import InputError

SLOT = re.compile(r"slot:(\S+)", re.IGNORECASE)  # a label at a socket


class Labels:
    """The labels of a product's devices. Raises InputError where two rows have the same label."""

    def __init__(self, rule: ScanRule, devices: Sequence[Device]) -> None:
        self._rule = rule
        self._pattern = re.compile(rule.pattern)
        self._devices: dict[str, Device] = {}
        for device in devices:
            value = device.fields.get(rule.field)
            if value is None:
                raise InputError(
                    "scan-field",
                    f"{device.where or device.id}: there is no column '{rule.field}', which the product's scan.field names.",
                    f"{did_you_mean(rule.field, device.fields)} Add the column, or correct scan.field.".strip(),
                )
            other = self._devices.setdefault(value, device)
            if other is not device:
                raise InputError(
                    "scan-field",
                    f"{device.where or device.id}: column '{rule.field}' holds {clip(value)!r}, as that of {other.id} does.",
                    "Each device needs a label of its own.",
                )

    def device(self, code: str) -> Device:
        """The device whose label holds `code`. Raises InputError for a code of another form, and for one that is on no label."""
        found = self._pattern.fullmatch(code)
        if found is None:
            raise InputError(
                "scan-format",
                f"{clip(code)!r} is not a label of this product.",
                "Scan the board's own label; other codes on box or module are not it.",
            )
        value = found.group(1) if self._pattern.groups and found.group(1) is not None else code
        device = self._devices.get(value)
        if device is None:
            raise InputError(
                "scan-unknown", f"{clip(value)!r} is not in the list of devices.", "Take a label of this batch, or ask for the right list."
            )
        return device


def slot_of(code: str) -> str | None:
    """The slot that a code `slot:NAME` names; None for any other code."""
    found = SLOT.fullmatch(code)
    return found.group(1) if found else None
