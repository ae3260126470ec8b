"""Size of a flash chip from its JEDEC id. Source: the makers' data sheets, as esptool's table of flash sizes has them."""

from __future__ import annotations

# Third byte of the flash chip's JEDEC id -> bytes. Mostly 2**n; these are the exceptions (esptool's table of flash sizes).
_ODD_SIZES = {0x32: 2**18, 0x33: 2**19, 0x34: 2**20, 0x35: 2**21, 0x36: 2**22, 0x37: 2**23, 0x38: 2**24, 0x39: 2**25, 0x3A: 2**26}


def flash_bytes(jedec: int) -> int | None:
    """Size in bytes from the JEDEC id as read (manufacturer in the lowest byte), None when it is not known."""
    code = jedec >> 16 & 0xFF
    if 0x12 <= code <= 0x1C:
        return int(2**code)
    if 0x20 <= code <= 0x22:  # 64 to 256 MB
        return int(2 ** (code - 0x20 + 26))
    return _ODD_SIZES.get(code)
