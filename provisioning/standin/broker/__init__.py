"""The MQTT broker behind both endpoints: a real one. The stand-in's front gives it plain byte streams."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Protocol

from provisioning.errors import InputError, StationError

BROKERS = ("auto", "amqtt", "mosquitto")


class Broker(Protocol):
    """What the front needs of a broker. No broker here listens on a port of its own: TLS is the only way in."""

    name: str

    async def start(self) -> None:
        """Ready for `attach`. Raises StationError."""

    async def attach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new client connection, plain MQTT bytes both ways."""

    async def stop(self) -> None:
        """End every connection and leave no process behind."""


def choose(name: str, state: Path) -> Broker:
    """The broker of that name; auto takes mosquitto when it is installed, else the embedded amqtt.

    `state`: the state folder, where a broker may keep a folder for its socket and configuration. Raises InputError, StationError.
    """
    if name not in BROKERS:
        raise InputError("cloud-broker", f"'{name}' is not a broker of the cloud stand-in.", f"There are {', '.join(BROKERS)}.")
    program = shutil.which("mosquitto", path=search_path()) if name in ("auto", "mosquitto") else None
    if program:
        from provisioning.standin.broker.mosquitto import Mosquitto

        return Mosquitto(Path(program), state)
    if name == "mosquitto":
        raise StationError("cloud-no-broker", "mosquitto is not installed.", "Install it, or use --broker amqtt, which needs nothing.")
    try:
        from provisioning.standin.broker.embedded import Amqtt
    except ImportError as error:
        raise StationError(
            "cloud-no-broker",
            f"The embedded MQTT broker is not installed: {error}.",
            "Install it with: pip install 'twinroot[virtual]'",
        ) from error
    return Amqtt()


def search_path() -> str:
    """PATH and the folder where Debian puts servers, which an ordinary user's PATH leaves out."""
    import os

    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
