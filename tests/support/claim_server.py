"""AWS's device provisioning over MQTT on this computer: TLS with client certificates, CreateCertificateFromCsr, RegisterThing.

As strict as AWS's documents: a connection does what the policy of its certificate allows, or is closed; an answer comes to who has
subscribed before asking; a token is good once and for an hour; a certificate is active when its thing is made. Source: "Device provisioning
MQTT API".
"""

from __future__ import annotations

import hashlib
import json
import secrets
import ssl
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.device.broker import Broker
from tests.support import pki
from tests.support.iot_policy import allows

CREATE = "$aws/certificates/create-from-csr/json"


@dataclass
class ClaimBroker(Broker):
    """`claims`: SHA-256 of a claim certificate -> its policy; `templates`: name -> body."""

    claims: dict[str, dict[str, Any]] = field(default_factory=dict)
    templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    issuer: pki.Cert = field(default_factory=lambda: pki.root("AWS IoT Certificate"))
    tokens: dict[str, str] = field(default_factory=dict)  # token -> certificate
    made: dict[str, pki.Cert] = field(default_factory=dict)
    things: dict[str, str] = field(default_factory=dict)  # name -> active certificate
    clock: float = 0.0  # seconds
    born: dict[str, float] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)  # topics whose next answer is lost with the connection, although AWS acted
    rejections: dict[str, dict[str, Any]] = field(default_factory=dict)  # topic -> the next answer to it
    silent: bool = False
    sessions: dict[int, tuple[str, str, set[str]]] = field(default_factory=dict)  # client id, certificate, subscriptions

    def answer(self, tls: ssl.SSLSocket, head: int, body: bytes) -> bool:
        kind, number = head >> 4, id(tls)
        if kind == 1:
            size = struct.unpack("!H", body[10:12])[0]
            client, own = body[12 : 12 + size].decode(), hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()
            self.sessions[number] = client, own, set()
            return self._may(number, "iot:Connect", f"client/{client}") and super().answer(tls, head, body)
        if kind == 8:
            for topic in self._filters(body[2:]):
                if not self._may(number, "iot:Subscribe", f"topicfilter/{topic}"):
                    return False
                self.sessions[number][2].add(topic)
            tls.sendall(b"\x90" + bytes((2 + len(self._filters(body[2:])),)) + body[:2] + b"\1" * len(self._filters(body[2:])))
            return True
        if kind == 3:
            size = struct.unpack("!H", body[:2])[0]
            topic = body[2 : 2 + size].decode()
            if not self._may(number, "iot:Publish", f"topic/{topic}"):
                return False
            tls.sendall(b"\x40\x02" + body[2 + size : 4 + size])
            return self._act(tls, topic, json.loads(body[4 + size :]))
        return super().answer(tls, head, body)

    def _may(self, number: int, action: str, resource: str) -> bool:
        client, own, _ = self.sessions[number]
        if own in self.claims:
            return allows(self.claims[own], action, resource, client)
        return self.things.get(client) == own

    @staticmethod
    def _filters(rest: bytes) -> list[str]:
        found = []
        while rest:
            size = struct.unpack("!H", rest[:2])[0]
            found.append(rest[2 : 2 + size].decode())
            rest = rest[3 + size :]
        return found

    def _act(self, tls: ssl.SSLSocket, topic: str, question: dict[str, Any]) -> bool:
        self.asked[topic] += 1
        if self.silent:
            return True
        if refused := self.rejections.pop(topic, None):
            return self._send(tls, topic, "rejected", refused)
        if topic == CREATE:
            assert set(question) == {"certificateSigningRequest"}
            answer = self._create(x509.load_pem_x509_csr(question["certificateSigningRequest"].encode()))
        else:
            prefix, _, rest = topic.partition("$aws/provisioning-templates/")
            name, _, end = rest.partition("/")
            assert (prefix, end) == ("", "provision/json")
            token = question["certificateOwnershipToken"]
            if name not in self.templates:
                return self._send(tls, topic, "rejected", self._error(404, "ResourceNotFoundException", f"Template {name} not found"))
            number = self.tokens.get(token, "")
            if not number or self.clock - self.born[number] > 3600:
                return self._send(tls, topic, "rejected", self._error(400, "InvalidCertificateOwnershipToken", "Token is not valid"))
            if set(question["parameters"]) != set(self.templates[name]["Parameters"]) - {"AWS::IoT::Certificate::Id"}:
                return self._send(tls, topic, "rejected", self._error(400, "InvalidParameters", "Parameters"))
            del self.tokens[token]
            self.things[question["parameters"]["ThingName"]] = number
            answer = {"deviceConfiguration": {}, "thingName": question["parameters"]["ThingName"]}
        if topic in self.lost:
            self.lost.remove(topic)
            return False
        return self._send(tls, topic, "accepted", answer)

    def _create(self, request: x509.CertificateSigningRequest) -> dict[str, Any]:
        assert request.is_signature_valid
        cert = pki.make(request.subject, self.issuer, public=request.public_key())
        number, token = hashlib.sha256(cert.der).hexdigest(), secrets.token_hex(16)
        self.made[number], self.tokens[token], self.born[number] = cert, number, self.clock
        pem = cert.certificate.public_bytes(Encoding.PEM).decode()
        return {"certificateId": number, "certificatePem": pem, "certificateOwnershipToken": token}

    @staticmethod
    def _error(status: int, code: str, message: str) -> dict[str, Any]:
        return {"statusCode": status, "errorCode": code, "errorMessage": message}

    def _send(self, tls: ssl.SSLSocket, topic: str, end: str, answer: dict[str, Any]) -> bool:
        name = f"{topic}/{end}"
        if name in self.sessions[id(tls)][2]:
            body = struct.pack("!H", len(name)) + name.encode() + json.dumps(answer).encode()
            tls.sendall(b"\x30" + self.length(len(body)) + body)
        return True
