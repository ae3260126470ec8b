# mypy: ignore-errors
# ruff: noqa
"""As much of mqtt_as as its adapter meets: a client that dials without blocking, imports `ssl` to wrap the socket, reads and
writes with polling, and survives OSError only. Own code with the same calls; runs on MicroPython. The real file is used instead
when TWINROOT_PEERS names a folder that has mqtt_as/__init__.py."""

import asyncio
import socket

config = {"client_id": "c", "server": None, "port": 8883, "keepalive": 60, "ssl": False, "ssl_params": {}}


class MQTTClient:
    def __init__(self, config):
        self.c = config
        self._ssl = config["ssl"]
        self._ssl_params = config["ssl_params"]
        self._sock = None
        self._addr = None

    async def _read(self, n):
        out = b""
        for _ in range(500):
            d = self._sock.read(n - len(out))
            if d == b"":
                raise OSError(-1, "closed")
            out += d or b""
            if len(out) == n:
                return out
            await asyncio.sleep_ms(10)
        raise OSError(-1, "timeout")

    async def _connect(self, clean):
        self._sock = socket.socket()
        self._sock.setblocking(False)
        try:
            self._sock.connect(self._addr)
        except OSError:
            pass
        await asyncio.sleep_ms(0)
        if self._ssl:
            import ssl

            self._sock = ssl.wrap_socket(self._sock, **self._ssl_params)
        name = self.c["client_id"].encode()
        head = b"\0\4MQTT\4" + bytes((2 * clean, 0, self.c["keepalive"], 0, len(name)))
        self._sock.write(b"\x10" + bytes((len(head) + len(name),)) + head + name)
        if await self._read(4) != b"\x20\2\0\0":
            raise OSError(-1, "refused")

    async def connect(self):
        self._addr = socket.getaddrinfo("127.0.0.1", self.c["port"])[0][-1]
        await self._connect(True)

    async def publish(self, topic, msg, retain=False, qos=0):
        t, m = topic.encode(), msg.encode()
        self._sock.write(b"\x30" + bytes((2 + len(t) + len(m), 0, len(t))) + t + m)

    async def disconnect(self):
        self._sock.write(b"\xe0\0")
        self._sock.close()
