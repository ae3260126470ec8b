"""The bytes of a bill of materials: the same for the same content, whoever asks and when."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from provisioning.sbom import cyclonedx, spdx
from provisioning.sbom.parts import Inventory

FORMATS: dict[str, Callable[[Inventory, datetime | None], dict[str, Any]]] = {"cyclonedx": cyclonedx.document, "spdx": spdx.document}
DEFAULT = "cyclonedx"


def text(inventory: Inventory, form: str, moment: datetime | None = None) -> bytes:
    """The document as a file has it: ASCII, keys in the order of the standard, a newline at the end."""
    return json.dumps(FORMATS[form](inventory, moment), indent=2, ensure_ascii=True).encode() + b"\n"
