"""The stand-in's own client of its broker: it hears every message, and speaks for the cloud."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from provisioning.errors import StationError
from provisioning.standin import mqtt
from provisioning.standin.broker import Broker

_TIMEOUT = 5.0  # seconds for the broker to answer


class Watcher:
    """Subscribed to every topic, of reserved ones to `reserved`; `on_message(topic, payload)` for each message that the broker delivers."""

    def __init__(self, broker: Broker, on_message: Callable[[str, bytes], None], reserved: tuple[str, ...] = ()) -> None:
        self._broker = broker
        self._filters = ("#", *reserved)  # MQTT-4.7.2-1: a filter that begins with a wildcard gets no topic that begins with $
        self._on_message = on_message
        self._task: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def start(self) -> None:
        """Returns when the subscription stands. Raises StationError."""
        reader, self._writer = await self._broker.attach()
        parser = mqtt.Parser()
        try:
            self._writer.write(mqtt.connect(f"cloud-{secrets.token_hex(4)}"))
            await asyncio.wait_for(self._until(reader, parser, mqtt.CONNACK), _TIMEOUT)
            for topic_filter in self._filters:
                self._writer.write(mqtt.subscribe(topic_filter))
                await asyncio.wait_for(self._until(reader, parser, mqtt.SUBACK), _TIMEOUT)
        except (asyncio.TimeoutError, ConnectionError) as error:
            raise StationError(
                "cloud-broker", f"The {self._broker.name} broker does not answer its first client.", "Start the cloud stand-in again."
            ) from error
        self._task = asyncio.create_task(self._listen(reader, parser))

    @staticmethod
    async def _until(reader: asyncio.StreamReader, parser: mqtt.Parser, kind: int) -> None:
        while True:
            data = await reader.read(4096)
            if not data:
                raise ConnectionResetError("the broker closed the connection")
            if any(packet.kind == kind for packet in parser.feed(data)):
                return

    async def _listen(self, reader: asyncio.StreamReader, parser: mqtt.Parser) -> None:
        while data := await reader.read(65536):
            for packet in parser.feed(data):
                if packet.kind == mqtt.PUBLISH:
                    self._on_message(*mqtt.published(packet))

    async def publish(self, topic: str, payload: bytes) -> None:
        """Send a message to whoever subscribed to `topic`, with QoS 0."""
        if self._writer is None:
            raise StationError("cloud-broker", "The broker is not running.", "Start the cloud stand-in again.")
        self.send(topic, payload)
        await self._writer.drain()

    def send(self, topic: str, payload: bytes) -> None:
        """The same for who cannot wait; nothing happens when the broker is gone."""
        if self._writer is not None:
            self._writer.write(mqtt.publish(topic, payload))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None
