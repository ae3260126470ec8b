"""Whose a certificate is, by the common name of its subject.

Clouds and CAs differ in what they write there: AWS's own certificates say "AWS IoT Certificate", a factory's the device's id. A text that
says nothing is not a mistake; the name of another device is.
"""

from __future__ import annotations

import re
from pathlib import Path

from provisioning.config.device import Device
from provisioning.config.document import wrong_file

# What a device's name looks like: a word that an id could be, with a number in it.
_UNIT = re.compile(r"(?=.*\d)[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")


def check_name(name: str, device: Device, client_id: str, certificate: Path) -> None:
    """Raises InputError when `name`, the common name in the file `certificate`, is that of another device than `device`."""
    mine = {device.id, client_id, *device.fields.values()}
    if not _UNIT.fullmatch(name) or name.lower() in {each.lower() for each in mine}:
        return
    raise wrong_file(
        certificate,
        "certificate-of-another",
        f"the certificate's subject names {name!r}, and the device is {device.id}",
        f"Take the certificate of {device.id}; where {name!r} is another name of it, put that into a column of the list of devices.",
    )
