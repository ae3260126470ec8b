"""AWS IoT's side of Jobs over MQTT for one thing, as far as a device sees it: start-next, notify-next, update, a sender of
chunks on a topic, and streams ("Using AWS IoT MQTT-based file delivery in devices"). State outlives connections."""

from __future__ import annotations

import json
import re
import ssl
import struct
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

from tests.device.broker import Broker

BASE = "$aws/things/t-1/jobs/"
LIMIT = 32768  # bytes of a job document (AWS IoT Device Management quotas)
FINAL = ("SUCCEEDED", "FAILED", "REJECTED")


@dataclass
class Cloud(Broker):
    """`jobs`: documents by id, in order. When all have ended, or `pause` is set and a job begins, "end" is sent to topic `end`."""

    jobs: dict[str, Any] = field(default_factory=dict)
    later: dict[str, Any] = field(default_factory=dict)  # queued once start-next has found nothing
    chunks: dict[str, bytes] = field(default_factory=dict)  # what is sent on a topic
    piece: int = 700
    streams: dict[str, dict[int, bytes]] = field(default_factory=dict)  # files of each, by number
    sent: int = 0  # bytes of chunks and blocks
    lose: set[int] = field(default_factory=set)  # numbers of requests for chunks that end the connection
    status: dict[str, list[str]] = field(default_factory=dict)  # of each job, in order
    why: dict[str, str] = field(default_factory=dict)
    topics: set[str] = field(default_factory=set)  # subscribed on this connection
    asked: int = 0

    def send(self, tls: ssl.SSLSocket, topic: str, payload: bytes) -> None:
        assert topic in self.topics or topic == "end", f"nobody subscribed to {topic}"
        name = topic.encode()
        tls.sendall(b"\x30" + self.length(2 + len(name) + len(payload)) + struct.pack("!H", len(name)) + name + payload)

    def execution(self, start: bool) -> dict[str, Any]:
        """What start-next and notify-next hold: the first job that has not ended; without one, no execution."""
        for name, document in self.jobs.items():
            states = self.status.setdefault(name, ["QUEUED"])
            assert len(json.dumps(document)) <= LIMIT, f"AWS would not take the document of {name}"
            if states[-1] not in FINAL:
                if start and states[-1] == "QUEUED":
                    states.append("IN_PROGRESS")
                shown = {"jobId": name, "status": states[-1], "queuedAt": 1, "versionNumber": len(states), "executionNumber": 1}
                return {"timestamp": 2, "execution": {**shown, "jobDocument": document}}
        return {"timestamp": 2}

    def answer(self, tls: ssl.SSLSocket, head: int, body: bytes) -> bool:
        kind = head >> 4
        if kind == 1:
            self.topics = set()
        if kind == 8:
            self.topics.add(body[4:-1].decode())
        if kind != 3:
            return super().answer(tls, head, body)
        size = struct.unpack("!H", body[:2])[0]
        topic, payload = body[2 : 2 + size].decode(), body[2 + size :]
        assert not head & 6, "QoS 0"
        if ask := re.fullmatch(r"\$aws/things/t-1/streams/([\w-]+)/get/json", topic):
            return self.blocks(tls, ask[1], json.loads(payload))
        if topic == f"{BASE}start-next":
            self.start(tls)
        elif topic.startswith(BASE):
            self.update(tls, topic[len(BASE) :], json.loads(payload))
        else:
            return self.chunk(tls, topic, int(payload))
        return True

    def start(self, tls: ssl.SSLSocket) -> None:
        found = self.execution(True)
        self.send(tls, f"{BASE}start-next/accepted", json.dumps(found).encode())
        if self.later:
            self.jobs, self.later = {**self.jobs, **self.later}, {}
            self.send(tls, f"{BASE}notify-next", json.dumps(self.execution(False)).encode())

    def update(self, tls: ssl.SSLSocket, rest: str, said: dict[str, Any]) -> None:
        name, verb = rest.split("/")
        assert verb == "update" and self.status[name][-1] not in FINAL, (rest, self.status)
        details = said["statusDetails"]
        assert all(isinstance(v, str) and len(v) <= 1024 for v in details.values())
        self.status[name].append(said["status"])
        self.why[name] = details["why"]
        if said["status"] in FINAL:  # the next one, or none, is first in the list now
            found = self.execution(False)
            self.send(tls, f"{BASE}notify-next", json.dumps(found).encode())
            if "execution" not in found:
                self.send(tls, "end", b"")

    def chunk(self, tls: ssl.SSLSocket, topic: str, offset: int) -> bool:
        assert topic.endswith("/get"), topic
        topic = topic[:-4]
        self.asked += 1
        if self.asked in self.lose:
            return False
        data = self.chunks[topic][offset : offset + self.piece]
        for _ in range(2):  # QoS 1 may bring a message twice
            self.send(tls, topic, b"%d:%s" % (offset, data))
        self.sent += len(data)
        return True

    def blocks(self, tls: ssl.SSLSocket, name: str, asked: dict[str, Any]) -> bool:
        """GetStream: {"f": file, "l": bytes of a block, "o": first block, "n": how many}; a block a message, the last one shorter."""
        base = f"$aws/things/t-1/streams/{name}"
        self.asked += 1
        if self.asked in self.lose:
            return False
        refused = None
        if name not in self.streams:
            refused = "StreamNotFound"
        elif asked["f"] not in self.streams[name]:
            refused = "FileNotFound"
        elif not 256 <= asked["l"] <= 131072 or not 0 < asked["n"] <= 98304:
            refused = "InvalidRequest"
        if refused:
            self.send(tls, f"{base}/rejected/json", json.dumps({"o": refused, "m": "the sentence of it"}).encode())
            return True
        data, size = self.streams[name][asked["f"]], asked["l"]
        for number in range(asked["o"], asked["o"] + asked["n"]):
            part = data[number * size : (number + 1) * size]
            if part:
                block = {"f": asked["f"], "l": len(part), "i": number, "p": b64encode(part).decode()}
                text = json.dumps(block, separators=((",", ":") if number % 2 else (", ", ": ")))
                self.send(tls, f"{base}/data/json", text.encode())
                self.sent += len(part)
        return True
