"""The cable between host and board: pulled, both endpoints are gone; plugged in again, they have other names."""

from __future__ import annotations

from provisioning.virtual.endpoint.pty import PtyEndpoint
from provisioning.virtual.endpoint.rfc2217 import Rfc2217Endpoint

HOST = "127.0.0.1"


class Cable:
    """The board keeps its power."""

    def __init__(self, pty: PtyEndpoint, network: Rfc2217Endpoint) -> None:
        self._pty = pty
        self._network = network

    def unplug(self) -> None:
        """The device disappears, the connection breaks."""
        self._pty.close()
        self._network.close()

    async def plug(self) -> dict[str, str]:
        """The names that the endpoints have now."""
        self._pty.reopen()
        await self._network.listen(HOST, 0)
        return {"pty": str(self._pty.path), "rfc2217": f"rfc2217://{HOST}:{self._network.port}"}
