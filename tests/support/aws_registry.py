"""AWS IoT's registry on this computer: things, certificates from requests, policies, over HTTPS, as late and as throttled as AWS.

Every request is held against botocore's model of the service, and what is asked twice is answered as AWS's documents say: another
certificate each time, everything else as it is. Nothing here is this project's own code.
"""

from __future__ import annotations

import json
import random
import re
import ssl
import threading
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from tests.device.server import context
from tests.support import pki
from tests.support.aws_contract import violations

ACCOUNT = "arn:aws:iot:us-east-1:123456789012:"
# Requests a second of an account in a region without raised limits: AWS's general reference, "AWS IoT Core endpoints and quotas".
QUOTAS = {"DescribeThing": 350, "CreateThing": 15, "CreateCertificateFromCsr": 15, "AttachPolicy": 15, "AttachThingPrincipal": 15}
OTHERS = 10
_MODEL = ServiceModel(Loader().load_service_model("iot", "service-2"))
_NAMES = (
    *("CreateThing", "CreateCertificateFromCsr", "AttachPolicy", "AttachThingPrincipal", "GetPolicy", "CreatePolicy"),
    *("DescribeThing", "ListThingPrincipals", "ListCertificates", "DescribeCertificate"),
)


def _row(name: str) -> tuple[str, re.Pattern[str], OperationModel]:
    model = _MODEL.operation_model(name)
    path = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(model.http["requestUri"].partition("?")[0]))
    return model.http["method"], re.compile(path), model


_OPERATIONS = [_row(name) for name in _NAMES]


class Refused(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


class Registry:
    """The server. `latency`: seconds that an answer takes, at least and at most; `quotas`: whether it throttles as AWS does; `lost`: the
    share of answers that never come, although the request was carried out. `url`, and `ca`, the file that clients trust it by."""

    def __init__(self, folder: Path, latency: tuple[float, float] = (0.0, 0.0), *, quotas: bool = False, lost: float = 0.0) -> None:
        self.latency, self.lost, self.quotas = latency, lost, quotas
        self.lock = threading.Lock()
        self.things: dict[str, list[str]] = {}
        self.certificates: dict[str, dict[str, Any]] = {}  # in the order in which they were made
        self.policies: dict[str, str] = {}
        self.attached: dict[str, set[str]] = {}
        self.requests: Counter[str] = Counter()
        self.throttled: Counter[str] = Counter()
        self.burst: Counter[str] = Counter()  # requests that are throttled still, whatever the quota is
        self.wrong: list[str] = []
        self.when: list[float] = []  # of each thing that got its certificate
        self.made = threading.Condition(self.lock)  # a certificate was made
        self._buckets: dict[str, tuple[float, float]] = {}
        self._random = random.Random(20260701)
        self._issuer = pki.root("AWS IoT Certificate")
        authority = pki.root("Registry Root")
        self.ca = folder / "registry-ca.pem"
        self.ca.write_bytes(authority.pem)
        self._tls = context(folder / "registry", [pki.server("127.0.0.1", authority)])
        registry = self

        class Handler(_Handler):
            account = registry

        self._http = _Server(("127.0.0.1", 0), Handler)
        self._http.tls = self._tls
        self.url = f"https://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def environment(self) -> dict[str, str]:
        """What leads AWS's tools here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_CA_BUNDLE": str(self.ca),
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, dict[str, Any], str, bool]:
        """Status, answer, error code, and whether the answer gets lost."""
        url = urlsplit(target)
        found = ((m, p.fullmatch(unquote(url.path))) for verb, p, m in _OPERATIONS if verb == method)
        model, match = next(((m, hit) for m, hit in found if hit), (None, None))
        if model is None or match is None:
            self.wrong.append(f"{method} {target}")
            return 404, {}, "UnknownOperationException", False
        params = self._params(model, match.groupdict(), {k: v[0] for k, v in parse_qs(url.query).items()}, headers, body)
        problems = violations(model.input_shape, params, model.name)
        problems += [f"{model.name} without {name}" for name in model.input_shape.required_members if name not in params]
        problems += [] if "AWS4-HMAC-SHA256" in headers.get("Authorization", "") else ["not signed"]
        with self.lock:
            self.wrong += problems
            self.requests[model.name] += 1
            if self._over(model.name):
                self.throttled[model.name] += 1
                return 429, {}, "ThrottlingException", False
            gone = self._random.random() < self.lost
            delay = self._random.uniform(*self.latency)
        threading.Event().wait(delay / 2)
        try:
            with self.lock:
                result: dict[str, Any] = getattr(self, "_" + model.name)(params)
        except Refused as e:
            return e.status, {}, e.code, gone
        threading.Event().wait(delay / 2)
        return 200, result, "", gone

    @staticmethod
    def _params(model: OperationModel, uri: dict[str, str], query: dict[str, str], headers: Any, body: bytes) -> dict[str, Any]:
        given: dict[str, Any] = json.loads(body) if body else {}
        for name, shape in model.input_shape.members.items():
            where, key = shape.serialization.get("location"), shape.serialization.get("name", name)
            value = {"uri": uri, "querystring": query, "header": headers}.get(where or "", {}).get(key)
            if value is not None:
                given[name] = {"integer": int, "boolean": lambda v: v == "true"}.get(shape.type_name, str)(value)
        return given

    def _over(self, name: str) -> bool:
        if self.burst[name] > 0:
            self.burst[name] -= 1
            return True
        if not self.quotas:
            return False
        rate, now = float(QUOTAS.get(name, OTHERS)), time.monotonic()
        left, since = self._buckets.get(name, (rate, now))
        left = min(rate, left + (now - since) * rate)
        self._buckets[name] = (left - (left >= 1), now)
        return left < 1

    def _GetPolicy(self, p: dict[str, Any]) -> dict[str, Any]:
        if p["policyName"] not in self.policies:
            raise Refused(404, "ResourceNotFoundException")
        return {"policyName": p["policyName"], "policyDocument": self.policies[p["policyName"]]}

    def _CreatePolicy(self, p: dict[str, Any]) -> dict[str, Any]:
        if p["policyName"] in self.policies:
            raise Refused(409, "ResourceAlreadyExistsException")
        self.policies[p["policyName"]] = p["policyDocument"]
        return {"policyName": p["policyName"]}

    def _CreateThing(self, p: dict[str, Any]) -> dict[str, Any]:
        self.things.setdefault(p["thingName"], [])
        return {"thingName": p["thingName"], "thingArn": f"{ACCOUNT}thing/{p['thingName']}"}

    def _CreateCertificateFromCsr(self, p: dict[str, Any]) -> dict[str, Any]:
        request = x509.load_pem_x509_csr(p["certificateSigningRequest"].encode())
        now = datetime.now(timezone.utc)
        builder = x509.CertificateBuilder().subject_name(request.subject).issuer_name(self._issuer.certificate.subject)
        builder = builder.public_key(request.public_key()).serial_number(x509.random_serial_number())
        made = builder.not_valid_before(now).not_valid_after(now + timedelta(days=9000)).sign(self._issuer.key, hashes.SHA256())
        number = made.fingerprint(hashes.SHA256()).hex()
        described = {
            "certificateId": number,
            "certificateArn": f"{ACCOUNT}cert/{number}",
            "certificatePem": made.public_bytes(Encoding.PEM).decode(),
            "status": "ACTIVE" if p.get("setAsActive") else "INACTIVE",
            "creationDate": now.timestamp(),
        }
        self.certificates[number] = described
        self.made.notify_all()
        return {name: described[name] for name in ("certificateId", "certificateArn", "certificatePem")}

    def _AttachPolicy(self, p: dict[str, Any]) -> dict[str, Any]:
        if p["policyName"] not in self.policies or p["target"].rpartition("/")[2] not in self.certificates:
            raise Refused(404, "ResourceNotFoundException")
        self.attached.setdefault(p["target"].rpartition("/")[2], set()).add(p["policyName"])
        return {}

    def _AttachThingPrincipal(self, p: dict[str, Any]) -> dict[str, Any]:
        if p["thingName"] not in self.things or p["principal"].rpartition("/")[2] not in self.certificates:
            raise Refused(404, "ResourceNotFoundException")
        if p["principal"] not in self.things[p["thingName"]]:
            self.things[p["thingName"]].append(p["principal"])
            self.when.append(time.monotonic())
        return {}

    def _DescribeThing(self, p: dict[str, Any]) -> dict[str, Any]:
        if p["thingName"] not in self.things:
            raise Refused(404, "ResourceNotFoundException")
        return {"thingName": p["thingName"]}

    def _ListThingPrincipals(self, p: dict[str, Any]) -> dict[str, Any]:
        if p["thingName"] not in self.things:
            raise Refused(404, "ResourceNotFoundException")
        return {"principals": self.things[p["thingName"]]}

    def _ListCertificates(self, p: dict[str, Any]) -> dict[str, Any]:
        rows = list(self.certificates.values())
        rows = rows if p.get("ascendingOrder") else rows[::-1]
        start, size = int(p.get("marker") or 0), p.get("pageSize", 25)
        answer = {"certificates": [{k: v for k, v in row.items() if k != "certificatePem"} for row in rows[start : start + size]]}
        return answer | ({"nextMarker": str(start + size)} if start + size < len(rows) else {})

    def _DescribeCertificate(self, p: dict[str, Any]) -> dict[str, Any]:
        if p["certificateId"] not in self.certificates:
            raise Refused(404, "ResourceNotFoundException")
        return {"certificateDescription": self.certificates[p["certificateId"]]}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    tls: ssl.SSLContext

    def handle_error(self, *_: Any) -> None:
        pass  # a client that was killed


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    account: Registry
    server: _Server

    def setup(self) -> None:
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, answer, code, lost = self.account.answer(self.command, self.path, self.headers, body)
        if lost:
            self.close_connection = True
            return
        text = json.dumps({"message": "as AWS would", **answer} if code else answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Content-Type", "application/json")
        if code:
            self.send_header("x-amzn-ErrorType", code)
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = _any

    def log_message(self, *_: Any) -> None:
        pass
