"""Firmware images for tests: valid in every byte that a boot loader or a checker looks at, and meaningless otherwise."""

from __future__ import annotations

import hashlib
import random
import struct
from functools import reduce
from pathlib import Path

from provisioning.chips import CHIPS
from provisioning.flash import partition


def image(chip: str, payload: bytes, *, least: int = 0, digest: bool = True) -> bytes:
    """One boot loader or application with one segment."""
    header = struct.pack("<BBBBI", 0xE9, 1, 2, 0x20, 0x40080400)
    extended = struct.pack("<B3sHBHH4sB", 0xEE, bytes(3), CHIPS[chip].image_id, 0, least, 0xFFFF, bytes(4), int(digest))
    payload = payload.ljust(-(-len(payload) // 4) * 4, b"\0")
    body = header + extended + struct.pack("<II", 0x3FFF0030, len(payload)) + payload
    body += bytes(15 - len(body) % 16)
    body += bytes([reduce(lambda a, b: a ^ b, payload, 0xEF)])
    return body + hashlib.sha256(body).digest() if digest else body


def half_random(size: int, seed: int) -> bytes:
    """Bytes that deflate to about 60%, as firmware does."""
    source = random.Random(seed)
    return b"".join(source.randbytes(24) + bytes(source.choice((0, 16, 32))) for _ in range(size // 40 + 1))[:size]


def firmware(chip: str = "esp32", size: int = 200_000, seed: int = 1, *, table: bool = True, label: str = "vfs", least: int = 0) -> bytes:
    """A whole firmware file as MicroPython offers it: boot loader, table, application; `size` bytes of application. `label`: the
    file system's; "" leaves it out of the table, as stock images from 1.26 on do."""
    offset = CHIPS[chip].boot_offset
    made = bytearray(image(chip, half_random(16_000, seed), least=least))
    if table:
        made = made.ljust(partition.TABLE_OFFSET - offset, b"\xff")
        rows = partition.stock(label, 0x200000, 0x200000)
        made += partition.make(rows if label else rows[:-1])
    made = made.ljust(partition.FACTORY_OFFSET - offset, b"\xff")
    made += image(chip, half_random(size, seed + 1))
    return bytes(made)


def board_file(folder: Path, content: bytes, *, extends: str = "esp32-generic", more: str = "", sha256: str | None = None) -> Path:
    """A board YAML that names `content` as its firmware."""
    (folder / "firmware.bin").write_bytes(content)
    path = folder / "board.yaml"
    digest = sha256 or hashlib.sha256(content).hexdigest()
    path.write_text(f'extends: {extends}\nfirmware: {{file: firmware.bin, sha256: "{digest}", version: "1.27.0"}}\n{more}')
    return path
