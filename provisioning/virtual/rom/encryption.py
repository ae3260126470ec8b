"""Flash encryption of an ESP32 with blank eFuses: AES-256 with a key of zeros and no address tweak.

The hardware runs AES backwards on byte-reversed blocks: ESP32 technical reference manual, chapter "External Memory".
"""

from __future__ import annotations

_BLOCK = 16


def encrypt_esp32(data: bytes) -> bytes:
    """Ciphertext of whole 16-byte blocks; a shorter end is padded with 0xff."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    data = data.ljust((len(data) + _BLOCK - 1) // _BLOCK * _BLOCK, b"\xff")
    # ECB is what the chip does; there is no choice here.
    actor = Cipher(algorithms.AES(bytes(32)), modes.ECB()).decryptor()
    return b"".join(actor.update(data[at : at + _BLOCK][::-1])[::-1] for at in range(0, len(data), _BLOCK))
