"""Requests and answers of AWS's device provisioning over MQTT: one connection, one request at a time.

A request is published on a topic T; its answer comes on T/accepted or T/rejected, to the connection that asked. AWS closes a connection
that does what its policy does not allow, and says no more than that.
"""

from __future__ import annotations

import json
import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from provisioning.config.product import Product
from provisioning.errors import InputError, StationError
from provisioning.parsed import from_json
from provisioning.pem.read import encode
from provisioning.trust.endpoint import classify

TIMEOUT = 20.0  # seconds for an answer
_KEEPALIVE = 60  # seconds
_TICK = 0.25  # seconds that the loop waits for the network at most


@dataclass(frozen=True)
class Place:
    """Where to connect: `host` is the name that is verified and sent (SNI), `where` the address that is dialled, `roots` all that may vouch
    for it, as PEM."""

    host: str
    where: tuple[str, int]
    roots: str

    @classmethod
    def of(cls, product: Product) -> Place:
        """The product's first ATS endpoint of AWS, or one of its own domain. Raises InputError where it has none."""
        for route in product.routes:
            if product.provider == "aws" and classify(route.host).cls in ("ats", "custom", "fips"):
                to = product.resolved_addresses().get(f"{route.host}:{route.port}", f"{route.host}:{route.port}")
                host, _, port = to.rpartition(":")
                roots = b"".join(encode("CERTIFICATE", product.roots[name].der) for name in route.roots)
                return cls(route.host, (host, int(port)), roots.decode())
        raise InputError("no-aws-route", f"{product.source} has no ATS endpoint of AWS IoT.", "twinroot aws endpoint --write PRODUCT")


class NotTaken(StationError):
    """AWS closed the connection of a certificate, or did not open it."""


class Rejected(InputError):
    """AWS answered on the topic for rejections. `status`: as of HTTP; `reason`: AWS's own code."""

    def __init__(self, what: str, status: int, reason: str, said: str) -> None:
        hint = next((hint for word, hint in _HINTS.items() if word in reason.lower()), "Correct what AWS names.")
        super().__init__("claim-rejected", f"AWS rejects {what}: {reason or status}{f', {said}' if said else ''}.", hint)
        self.status, self.reason = status, reason


# A word of AWS's code, in lower case -> what to do.
_HINTS = {
    "token": "Run it again: another certificate is made.",
    "throttl": "Run it again later.",
    "template": "`twinroot aws claim prepare` makes the template; check --template and the region.",
    "resourcenotfound": "`twinroot aws claim prepare` makes the template; check --template and the region.",
    "forbidden": "`twinroot aws claim prepare` gives the claim certificate its policy.",
    "accessdenied": "Check the role of the template: it needs AWSIoTThingsRegistration.",
}


class _Named(ssl.SSLContext):
    """A context that verifies one name, whatever address is dialled."""

    host = ""

    def wrap_socket(self, sock: Any, *_: Any, **options: Any) -> ssl.SSLSocket:
        return super().wrap_socket(sock, **{**options, "server_hostname": self.host})


class Session:
    """A connection with the client certificate in `certificate` and `key`. Raises StationError where there is none to be had."""

    def __init__(self, place: Place, certificate: Path, key: Path, client_id: str, timeout: float = TIMEOUT) -> None:
        try:
            from paho.mqtt import client as paho
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as e:
            raise StationError(
                "no-paho", "paho-mqtt is not installed, and devices are claimed through it.", "pip install 'twinroot[aws]'"
            ) from e
        self._place, self._timeout = place, timeout
        self._answer: tuple[str, bytes] | None = None
        self._open: bool | None = None  # None: CONNACK has not come
        self._refusal = ""
        self._subscribed: set[int | None] = set()
        self._topics: set[str] = set()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id, reconnect_on_failure=False)
        self._client.tls_set_context(_context(place, certificate, key))
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._closed
        self._client.on_subscribe = lambda client, data, mid, *_: self._subscribed.add(mid)
        self._client.on_message = self._message
        try:
            self._client.connect(*place.where, _KEEPALIVE)
        except ssl.SSLCertVerificationError as e:
            raise StationError(
                "untrusted-endpoint",
                f"{place.host} cannot be trusted: {e.verify_message or e.reason}.",
                "Nothing was sent. Check endpoint, clock, and who is in between: twinroot trust probe",
            ) from e
        except OSError as e:
            raise StationError(
                "no-network", f"{place.host} cannot be reached: {e.strerror or e}.", "Check network and port 8883, then run it again."
            ) from e
        self._until(lambda: self._open is not None, "the connection")
        if not self._open:
            self.close()
            raise self._refused()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._client.disconnect()

    def ask(self, topic: str, what: str, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to a question on `topic`; `what` names it in sentences. Raises Rejected, StationError."""
        if topic not in self._topics:  # before the question: else its answer may be missed
            _, mid = self._client.subscribe([(f"{topic}/accepted", 1), (f"{topic}/rejected", 1)])
            self._until(lambda: mid in self._subscribed, what)
            self._topics.add(topic)
        self._answer = None
        self._client.publish(topic, json.dumps(question), qos=1)
        self._until(lambda: self._answer is not None, what)
        on, payload = self._answer or ("", b"")
        try:
            answer = from_json(payload)
            if not isinstance(answer, dict):
                raise ValueError(type(answer).__name__)
        except ValueError as e:
            raise StationError("bad-answer", f"AWS's answer to {what} cannot be read: {e}.", "Run it again.") from e
        if on == f"{topic}/rejected":
            status = answer.get("statusCode")
            said = (str(answer.get(name, "")).strip().rstrip(".")[:300] for name in ("errorCode", "errorMessage"))
            raise Rejected(what, status if isinstance(status, int) else 0, *said)
        return answer

    def _until(self, done: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + self._timeout
        while not done():
            if time.monotonic() > end:
                raise StationError("claim-silent", f"AWS does not answer {what}.", "Run it again: it goes on where it stopped.")
            failed = self._client.loop(_TICK)
            if failed and not done():
                raise self._closed_at(what) if self._open else self._refused()

    def _closed_at(self, what: str) -> NotTaken:
        return NotTaken(
            "claim-refused",
            f"{self._place.host} closed the connection instead of answering {what}.",
            "Run it again. If it does so again, the claim certificate may not do that: twinroot aws claim prepare",
        )

    def _refused(self) -> NotTaken:
        return NotTaken(
            "claim-refused",
            f"{self._place.host} does not take the certificate{self._refusal}.",
            "It has to be active, with a policy for this client id and these topics: twinroot aws claim prepare",
        )

    def _connected(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._open = not reason.is_failure
        self._refusal = f" ({reason})" if reason.is_failure else ""

    def _closed(self, *_: Any) -> None:
        if self._open is None:
            self._open, self._refusal = False, " (closed after CONNECT)"

    def _message(self, client: Any, data: Any, message: Any) -> None:
        if message.topic.rpartition("/")[0] in self._topics:
            self._answer = message.topic, message.payload


def new_client_id(prefix: str) -> str:
    """A client id that no other line has: AWS closes the older of two connections of one id."""
    return prefix + secrets.token_hex(8)


def _context(place: Place, certificate: Path, key: Path) -> _Named:
    context = _Named(ssl.PROTOCOL_TLS_CLIENT)
    context.host = place.host
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=place.roots)  # and no others: not those of this computer
    context.load_cert_chain(certificate, key)
    return context
