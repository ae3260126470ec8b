"""The eFuses of an emulated chip, as a file: its MAC, and the revision that the emulated silicon is.

Layouts: "Specifying eFuse storage" in the READMEs of esp-toolchain-docs; the fields as in ESP-IDF's esp_efuse_table (MAC_FACTORY and its
CRC on the ESP32; MAC and WAFER_VERSION_MINOR in block 1, which begins at byte 24, on the chips after it).
"""

from __future__ import annotations

from provisioning.virtual.qemu.machines import QemuMachine

_BLOCK1 = 24
# The bits that make an ESP32 revision 3 (CHIP_VER_REV1, CHIP_VER_REV2), whose ROM the emulated one has, and an ESP32-C3 revision 0.3.
_REVISION = {"esp32": {13: 0x80, 22: 0x10}, "esp32c3": {_BLOCK1 + 14: 0x0C}}


def crc8(data: bytes) -> int:
    """esp_rom_efuse_mac_address_crc8: polynomial x^8 + x^5 + x^4 + 1, bits from the lowest, from 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
    return crc


def image(machine: QemuMachine, mac: str) -> bytes:
    """The file's content for this MAC (aa:bb:cc:dd:ee:ff)."""
    address = bytes.fromhex(mac.replace(":", ""))
    made = bytearray(machine.efuse_bytes)
    at = 4 if machine.chip == "esp32" else _BLOCK1
    made[at : at + 6] = address[::-1]
    if machine.chip == "esp32":
        made[at + 6] = crc8(address)
    for position, bits in _REVISION.get(machine.chip, {}).items():
        made[position] |= bits
    return bytes(made)
