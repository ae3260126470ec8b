"""What happened at the endpoints: connections with their outcome, messages with the route they came by, requests to the control plane.

A message counts when the broker has delivered it to a subscriber, not when its bytes came in: the front says by which route, the
broker says that it had it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]
# Events that are kept; a soak run must not fill the memory.
_KEPT = 10_000


class EventLog:
    """The events of one run, in order; each listener hears of each event once."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.connections: deque[Event] = deque(maxlen=_KEPT)
        self.requests: deque[Event] = deque(maxlen=_KEPT)
        self.messages: deque[Event] = deque(maxlen=_KEPT)
        self.listeners: list[Callable[[Event], None]] = []
        # (topic, payload) of PUBLISHes that the front saw and the broker has not delivered yet.
        self._under_way: dict[tuple[str, bytes], deque[Event]] = {}

    def _tell(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)

    def _at(self) -> float:
        """Seconds since the stand-in started."""
        return round(time.monotonic() - self._began, 3)

    def connection(self, **facts: Any) -> None:
        """A handshake or an attempt at one is over: route, scenario, outcome and what is known of the client."""
        event = {"event": "connection", "at": self._at(), **facts}
        self.connections.append(event)
        self._tell(event)

    def request(self, **facts: Any) -> None:
        """The control plane has answered: service, operation, HTTP status, and the code of an error."""
        event = {"event": "request", "at": self._at(), **facts}
        self.requests.append(event)
        self._tell(event)

    def came_in(self, route: str, client: str, certificate: str, topic: str, payload: bytes) -> None:
        """The front saw a PUBLISH on its way to the broker."""
        event = {
            "event": "message",
            "at": self._at(),
            "route": route,
            "topic": topic,
            "payload": payload.decode("utf-8", "backslashreplace"),
            "client": client,
            "certificate": certificate,
        }
        self._under_way.setdefault((topic, payload), deque(maxlen=_KEPT)).append(event)

    def delivered(self, topic: str, payload: bytes) -> bool:
        """The broker gave a message to its subscribers. False for one that came by no route: the stand-in's own, or a retained one."""
        waiting = self._under_way.get((topic, payload))
        if not waiting:
            return False
        event = waiting.popleft()
        if not waiting:
            del self._under_way[topic, payload]
        self.messages.append(event)
        self._tell(event)
        return True
