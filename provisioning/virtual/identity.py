"""Who a board is: MAC address and USB serial number, made once per state folder and kept there."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from provisioning import atomic_files
from provisioning.chips import Chip


@dataclass
class BoardIdentity:
    """`mac` as aa:bb:cc:dd:ee:ff; `port` is the TCP port of the last run, 0 before the first."""

    mac: str
    serial: str
    port: int
    file: Path

    @classmethod
    def load(cls, state: Path, chip: Chip, seed: int) -> BoardIdentity:
        """Reads identity.json, or makes it. The same seed and folder name make the same identity; seed 0 makes a new one each time."""
        file = state / "identity.json"
        if file.exists():
            stored = json.loads(file.read_text("utf-8"))
            return cls(stored["mac"], stored["serial"], int(stored.get("port", 0)), file)
        unique = hashlib.sha256(f"{seed}/{state.name}".encode()).digest() if seed else secrets.token_bytes(16)
        mac = ":".join(f"{byte:02x}" for byte in chip.played().oui + unique[:3])
        identity = cls(mac, f"VB{unique[3:8].hex().upper()}", 0, file)
        identity.save()
        return identity

    def save(self) -> None:
        content = json.dumps({"mac": self.mac, "serial": self.serial, "port": self.port}) + "\n"
        atomic_files.replace(self.file, content.encode(), 0o600, durable=False)
