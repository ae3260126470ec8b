"""amqtt inside the stand-in's own process: no port, each connection a socket pair."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import Any

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.errors import AMQTTError
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

from provisioning.errors import StationError

_LISTENER = "default"
# Seconds that amqtt may take to say goodbye to its clients.
_STOP_TIMEOUT = 3.0


class ClientsOfTheFront(BaseAuthPlugin):  # type: ignore[misc]  # amqtt has no types
    """Everybody who gets here has shown a client certificate to the front."""

    async def authenticate(self, *, session: Session) -> bool:
        session.is_anonymous = True
        return True


class _Writer(StreamWriterAdapter):  # type: ignore[misc]  # amqtt has no types
    """amqtt wants an address and a port of its peer, which a socket pair has not."""

    def get_peer_info(self) -> tuple[str, int]:
        return ("front", 0)


class _Broker(Broker):  # type: ignore[misc]  # amqtt has no types
    """amqtt gives a new connection every retained message that anybody's subscription matches; here it gets what its own do. And amqtt ends
    the connection of who publishes to a topic that begins with $; here the front has decided that by now."""

    async def _handle_message_delivery(self, client_session: Session, handler: Any, wait_deliver: asyncio.Future[Any]) -> bool:
        message = wait_deliver.result()
        if message is not None and (message.topic or "").startswith("$"):
            await self._broadcast_message(client_session, message.topic, message.data)
            return True
        return bool(await super()._handle_message_delivery(client_session, handler, wait_deliver))

    async def _publish_retained_messages_for_subscription(self, subscription: tuple[str, int], session: Session) -> None:
        subscribers = self._subscriptions.get(subscription[0], [])
        if any(subscriber.client_id == session.client_id for subscriber, _ in subscribers):
            await super()._publish_retained_messages_for_subscription(subscription, session)


class Amqtt:
    """The embedded broker."""

    name = "amqtt"

    def __init__(self) -> None:
        self._broker: Broker | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        # amqtt reports each client's end as a warning and each torn connection with a traceback: neither is news here.
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        config = BrokerConfig(
            listeners={_LISTENER: ListenerConfig(type=ListenerType.EXTERNAL)},
            plugins={f"{ClientsOfTheFront.__module__}.{ClientsOfTheFront.__name__}": {}},
        )
        try:
            self._broker = _Broker(config)
            await self._broker.start()
        except AMQTTError as error:
            raise StationError("cloud-broker", f"The embedded MQTT broker did not start: {error}.", "Try --broker mosquitto.") from error

    async def attach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._broker is None:
            raise StationError("cloud-broker", "The embedded MQTT broker is not running.", "Start the cloud stand-in again.")
        ours, brokers = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=brokers)
        client = asyncio.create_task(self._serve(self._broker, reader, writer))
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)
        return await asyncio.open_connection(sock=ours)

    async def _serve(self, broker: Broker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # A torn connection surfaces in amqtt as one of these.
            with contextlib.suppress(AMQTTError, ConnectionError, asyncio.IncompleteReadError):
                await broker.external_connected(StreamReaderAdapter(reader), _Writer(writer), _LISTENER)
        finally:
            writer.close()

    async def stop(self) -> None:
        for client in list(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        if self._broker is not None:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._broker.shutdown(), _STOP_TIMEOUT)
            self._broker = None
