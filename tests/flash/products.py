"""A whole product for tests: board with firmware, factory CA, devices, and places of its own for ledger and cache."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from provisioning.identity.factory import make_ca
from tests.flash import images
from tests.support.command import twinroot_json

_PRODUCT = """\
product: weather-station
board: ./board.yaml
cloud:
  region: us-east-1
  endpoint: a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com
identity:
  certificate: "devices/{device}.crt.pem"
  key: "devices/{device}.key.pem"
  issue: {ca: ca/ca.crt.pem, ca_key: ca/ca.key.pem, keep_key: KEEP}
"""


@dataclass(frozen=True)
class Made:
    """Where everything is."""

    folder: Path
    product: Path
    firmware: Path
    devices: Path
    ledger: Path

    def environment(self) -> dict[str, str]:
        """For commands: nothing of this user's own is read or written."""
        return {**os.environ, "TWINROOT_CACHE": str(self.folder / "cache"), "TWINROOT_LEDGER": str(self.ledger)}

    def twinroot(self, *arguments: str | Path) -> tuple[int, dict[str, Any], str]:
        """The real command there: exit code, its JSON object, what stands on standard error."""
        return twinroot_json(*arguments, env=self.environment())

    def at_most(self, baud: int) -> Made:
        """The same product for an adapter that takes this rate and no more."""
        path = self.folder / "board.yaml"
        path.write_text(path.read_text() + f"baud: {{max: {baud}}}\n")
        return self

    def changed(self) -> Made:
        """The same firmware and devices, other files on the board."""
        path = self.folder / "changed.yaml"
        path.write_text(self.product.read_text().replace("region: us-east-1", "region: eu-west-1").replace(".us-east-1.", ".eu-west-1."))
        return replace(self, product=path)

    def forget(self) -> Made:
        """An empty ledger."""
        for file in self.folder.glob("ledger.sqlite*"):
            file.unlink()
        return replace(self)


def make(
    folder: Path,
    *,
    size: int = 60_000,
    seed: int = 1,
    devices: int = 8,
    keep_key: bool = True,
    more: str = "",
    chip: str = "esp32",
    extends: str = "virtual-esp32",
) -> Made:
    """`size`: bytes of the application in the firmware; `more`: lines for the board file; `chip`, `extends`: the kind of board."""
    folder.mkdir(parents=True, exist_ok=True)
    images.board_file(folder, images.firmware(chip, size=size, seed=seed), extends=extends, more=more)
    make_ca("Test Factory", folder / "ca")
    product = folder / "product.yaml"
    product.write_text(_PRODUCT.replace("KEEP", str(keep_key).lower()))
    csv = folder / "devices.csv"
    csv.write_text("device\n" + "".join(f"ws-{number:04d}\n" for number in range(1, devices + 1)))
    return Made(folder, product, folder / "firmware.bin", csv, folder / "ledger.sqlite")


def at_home(made: Made, monkeypatch: pytest.MonkeyPatch) -> Made:
    """The same, with its environment in force for this process."""
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    return made
