"""The account of a running stand-in, put together: state, clock, control plane, the side that devices reach."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path
from typing import Any

from provisioning.standin.access import script, variables
from provisioning.standin.account import certificates, connectivity, executions, topics
from provisioning.standin.account.listener import Listener
from provisioning.standin.account.plane import ControlPlane
from provisioning.standin.account.signature import Signatures, credentials
from provisioning.standin.account.state import ACCOUNT_ID, AccountState, Place, Send, Sign
from provisioning.standin.account.throttle import Throttle
from provisioning.standin.authority import TestAuthority, key_pem, pem
from provisioning.standin.event_log import EventLog
from provisioning.standin.front import HOST, Peer
from provisioning.standin.state_folder import State, write

_LONGEST_SLEEP = 3600.0  # seconds; the clock may be moved meanwhile, which wakes the timer anyway


def _context(state: State, server: TestAuthority) -> ssl.SSLContext:
    path = write(state / "served" / "account.pem", key_pem(server.key) + pem(server.certificate), 0o600)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(path)
    return context


class CloudAccount:
    """One account, from `start` to `stop`. Implements front.Gate."""

    def __init__(self, state: State, place: Place, ca: Path, server: TestAuthority, record: EventLog, send: Send, sign: Sign) -> None:
        self._ahead = 0.0
        self._place = place
        self._ca = ca
        self._record = record
        self._credentials = state / "credentials"
        self._environment = state / "account.env"
        self._keys = credentials(self._credentials)
        self._sessions: dict[str, object] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.state = AccountState(state.folder, place, lambda: time.time() + self._ahead, send, sign)
        self.throttle = Throttle(time.monotonic)
        plane = ControlPlane(self.state, Signatures(self._keys), self.throttle, record.request)
        self._listener = Listener(HOST, _context(state, server), plane.answer)
        plane.changed = self._set_timer

    async def start(self, port: int) -> None:
        """Raises StationError when the port is in use."""
        await self._listener.start(port)
        write(self._environment, script(variables(self.url, self._ca, self._place.region, self._credentials)).encode())
        connectivity.nobody(self.state)
        self._run_due()

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    def info(self) -> dict[str, Any]:
        """What a client of the control plane needs; paths, and no secret."""
        return {
            "url": self.url,
            "ca": str(self._ca),
            "region": self._place.region,
            "id": ACCOUNT_ID,
            "access_key_id": self._keys.access_key,
            "credentials": str(self._credentials),
            "environment": str(self._environment),
        }

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._listener.stop()
        self.state.close()

    # -- time ----------------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Move the account's clock ahead; what becomes due happens now, in its order."""
        self._ahead += seconds
        self._run_due()

    def _run_due(self) -> None:
        executions.run_due(self.state)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = executions.next_due(self.state)
        if due is not None:
            wait = min(_LONGEST_SLEEP, max(0.0, due - self.state.now()))
            self._timer = asyncio.get_running_loop().call_later(wait, self._run_due)

    # -- devices -------------------------------------------------------------------------------------------------

    def issued(self, device: str, certificate: Path) -> None:
        certificates.issued(self.state, device, certificate.read_text(encoding="ascii"))

    def may_publish(self, peer: Peer, topic: str) -> str:
        return topics.may_publish(self.state, peer.client, peer.fingerprint, peer.common_name, topic)

    def may_subscribe(self, peer: Peer, topic_filter: str) -> str:
        return topics.may_subscribe(self.state, peer.client, peer.fingerprint, peer.common_name, topic_filter)

    def connected(self, peer: Peer, session: object) -> None:
        self._sessions[peer.client] = session
        connectivity.connected(self.state, peer.client)

    def disconnected(self, peer: Peer, session: object, reason: str) -> None:
        if self._sessions.get(peer.client) is session:  # else the same client is connected anew by now
            del self._sessions[peer.client]
            connectivity.disconnected(self.state, peer.client, reason)

    def received(self, topic: str, payload: bytes) -> None:
        """The broker has delivered what a device published to a reserved topic."""
        if topics.receive(self.state, topic, payload):
            self._run_due()
