"""A time server on a loopback UDP port: devices set their clock from it before they judge a certificate. RFC 5905, server mode."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

from provisioning.standin import ports

# Seconds from 1900, NTP's epoch, to 1970.
_EPOCH = 2_208_988_800
_PACKET = 48
_SERVER_MODE = 4


def _timestamp(seconds: float) -> bytes:
    """64 bits: seconds since 1900 modulo 2**32, and the fraction."""
    whole = int(seconds)
    return ((whole + _EPOCH) % 2**32).to_bytes(4, "big") + int((seconds - whole) * 2**32).to_bytes(4, "big")


class TimeServer(asyncio.DatagramProtocol):
    """Answers every request with this machine's time plus `offset` seconds, or not at all when `silent`."""

    def __init__(self) -> None:
        self.offset = 0.0
        self.silent = False
        self.asked = 0
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1. Raises OSError when the port is taken."""
        endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.port = ports.bind(endpoint, "127.0.0.1", port)
        except OSError:
            endpoint.close()
            raise
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=endpoint)

    def stop(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if len(data) < _PACKET or self._transport is None:
            return
        self.asked += 1
        if self.silent:
            return
        now = _timestamp(time.time() + self.offset)
        version = data[0] & 0b00111000
        # Leap 0, the request's version, mode 4; stratum 1; the poll interval that was asked; precision 2**-20 s; delay and
        # dispersion 0; reference LOCL.
        head = bytes([version | _SERVER_MODE, 1, data[2], 0xEC]) + bytes(8) + b"LOCL"
        self._transport.sendto(head + now + data[40:48] + now + now, addr)
