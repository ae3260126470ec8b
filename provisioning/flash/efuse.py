"""eFuses: what is burned, read only; and what a product's security would burn, which happens only after a typed confirmation.

An eFuse cannot be set back. So the plan is a table that is shown before, every step is espefuse's own command, and `burn` does nothing
without the sentence that names the board. Source of the steps: "Security Features Enablement Workflows" in the ESP-IDF programming guide.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning.chips import CHIPS, ENCRYPTED, Mode, Step
from provisioning.errors import BoardError, InputError, StationError
from provisioning.flash import process

# Fields of `espefuse summary` that a person asks for first; a chip has those of its generation.
REPORTED = (
    "FLASH_CRYPT_CNT",
    "FLASH_CRYPT_CONFIG",
    "ABS_DONE_0",
    "ABS_DONE_1",
    "DISABLE_DL_ENCRYPT",
    "DISABLE_DL_DECRYPT",
    "DISABLE_DL_CACHE",
    "JTAG_DISABLE",
    "UART_DOWNLOAD_DIS",
    "SPI_BOOT_CRYPT_CNT",
    "SECURE_BOOT_EN",
    "DIS_DOWNLOAD_MANUAL_ENCRYPT",
    "ENABLE_SECURITY_DOWNLOAD",
    "DIS_DOWNLOAD_MODE",
    "DIS_PAD_JTAG",
    "DIS_USB_JTAG",
    "KEY_PURPOSE_0",
    "KEY_PURPOSE_1",
)


@dataclass(frozen=True)
class Where:
    """A chip at a port, or espefuse's own virtual one, whose fuses are a file."""

    chip: str
    port: str | None = None
    virtual: Path | None = None

    def command(self, *arguments: str) -> list[str]:
        """espefuse's argument vector."""
        # The board's program runs again afterwards: by itself espefuse leaves a chip in its loader.
        place = ["--virt", "--path-efuse-file", str(self.virtual)] if self.virtual else ["--port", self.port or "", "--after", "hard-reset"]
        return [*process.command([])[:2], "espefuse", "--chip", self.chip, *place, *arguments]


def summary(where: Where, log: Path | None = None) -> dict[str, Any]:
    """Name -> value of the fuses in REPORTED that this chip has. Reads only. Raises StationError."""
    ended = process.run(where.command("summary", "--format", "json"), log)
    at = ended.output.find("{")
    try:
        if ended.code != 0 or at < 0:
            raise ValueError
        fuses, _ = json.JSONDecoder().raw_decode(ended.output[at:])
    except ValueError:
        last = (ended.output.strip().splitlines() or ["nothing"])[-1][:160]
        raise StationError("espefuse-failed", f"espefuse could not read the fuses: {last}.", "Check the port, and run it again.") from None
    return {name: fuses[name]["value"] for name in REPORTED if name in fuses}


def plan(chip: str, mode: Mode | None, *, nvs: bool = False) -> tuple[Step, ...]:
    """The steps for flash encryption in this mode (None: without it) and for an NVS key. Raises InputError for a chip that the table does
    not have."""
    encryption = CHIPS[chip].encryption if chip in CHIPS else None
    if encryption is None:
        raise InputError("no-security", f"There is no table of fuses for {chip}.", f"It is there for {', '.join(ENCRYPTED)}.")
    if nvs and encryption.nvs_key is None:
        raise InputError(
            "no-security", f"{chip} has no HMAC unit for an NVS key.", "Leave the NVS key out: flash encryption covers its key partition."
        )
    nvs_steps = (encryption.nvs_key,) if nvs and encryption.nvs_key else ()
    if mode is None:
        return nvs_steps
    # The key first, the switch last: a run that is cut off leaves a chip that still starts.
    first, *rest = encryption.steps[mode]
    return (first, *nvs_steps, *rest)


def sentence(mac: str) -> str:
    """What must be typed."""
    return f"burn {mac} for ever"


def burn(where: Where, steps: Sequence[Step], keys: dict[str, Path], mac: str, typed: str, log: Path | None = None) -> None:
    """Burn the steps, one after the other, verified by espefuse. Raises InputError without the sentence, BoardError when a step fails."""
    if typed != sentence(mac):
        raise InputError("not-confirmed", "Nothing was burned: the confirmation was not typed.", f"Type exactly: {sentence(mac)}")
    for step in steps:
        arguments = [argument.format(**{name: str(path) for name, path in keys.items()}) for argument in step.arguments]
        # espefuse asks on its own terminal; the question was asked and answered above.
        ended = process.run([*where.command()[:3], "--do-not-confirm", *where.command(*arguments)[3:]], log)
        if ended.code != 0:
            last = (ended.output.strip().splitlines() or ["nothing"])[-1][:160]
            raise BoardError("burn-failed", f"{step.what}: {last}.", "The steps before this one are burned; look at the summary.")
