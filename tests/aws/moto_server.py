"""moto's server as a process of its own, over real HTTP, with what it gets wrong against the documented API of AWS IoT put right.

    python moto_server.py LOG        prints its port, appends one JSON line per request to LOG

What moto 5 gets wrong, and what is put right here:
- CreateCertificateFromCsr: the certificate gets a new RSA key (and costs 0.3 s). Documented: the request's key.
- A certificate's id is the hash of its PEM text. Documented: the SHA-256 of the DER (moto has a switch for it, set below).
- DescribeEndpoint: another random prefix each time. Documented: later calls return the same endpoint.
- ListCertificates: ignores ascendingOrder, pageSize and marker.
- CreateThing: replaces a thing of the same name. Documented: the same configuration again is fine, another one is a conflict (409).
- GetRegistrationCode: another one each time. Documented: the code of the account, until it is deleted.
- RegisterCACertificate: takes any verification certificate. Documented: it must be signed by the CA and name the registration code.

Faults, by a line on standard input, for the next request whose operation matches: "throttle OPERATION N", "drop OPERATION" (AWS acts, the
answer is lost), "stall OPERATION" (the answer is late), "error OPERATION STATUS CODE" until "clear". "reset" empties account and log.
"""

from __future__ import annotations

import hashlib
import json
import socket
import sys
import threading
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from moto.core.config import default_user_config
from moto.core.utils import utcnow
from moto.iot import models, responses
from moto.iot.exceptions import InvalidRequestException, ResourceAlreadyExistsException
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

default_user_config["iot"]["use_valid_cert"] = True
_CA_KEY = ec.generate_private_key(ec.SECP256R1())
_ISSUER = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "AWS IoT Certificate")])


def _certificate_from_csr(self: Any, csr: str, set_as_active: bool) -> Any:
    request = x509.load_pem_x509_csr(csr.encode())
    builder = x509.CertificateBuilder().subject_name(request.subject).issuer_name(_ISSUER).public_key(request.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(utcnow())
    made = builder.not_valid_after(utcnow() + timedelta(days=365 * 20)).sign(_CA_KEY, hashes.SHA256())
    text = made.public_bytes(Encoding.PEM).decode()
    active = set_as_active in (True, "true")
    return self.register_certificate(text, ca_certificate_pem=None, set_as_active=active, status="ACTIVE" if active else "INACTIVE")


_create_thing = models.IoTBackend.create_thing


def _thing(self: Any, thing_name: str, *args: Any, **kwargs: Any) -> Any:
    for thing in self.things.values():
        if thing.thing_name == thing_name:
            wanted = (kwargs.get("attribute_payload") or {}).get("attributes", {})
            if thing.attributes != wanted:
                raise ResourceAlreadyExistsException("Thing exists with another configuration", thing_name, thing.arn)
            return thing
    return _create_thing(self, thing_name, *args, **kwargs)


_endpoint = models.FakeEndpoint.__init__


def _same_endpoint(self: Any, endpoint_type: str, region_name: str) -> None:
    _endpoint(self, endpoint_type, region_name)
    _, _, rest = self.endpoint.partition(".")
    prefix = hashlib.sha256(region_name.encode()).hexdigest()[:14]
    self.endpoint = f"{prefix}{'-ats' if endpoint_type == 'iot:Data-ATS' else ''}.{rest}"


_register_ca = models.IoTBackend.register_ca_certificate


def _ca(self: Any, ca_certificate: str, *args: Any, **kwargs: Any) -> Any:
    body = json.loads(_request.body)
    try:
        proof = x509.load_pem_x509_certificate(body["verificationCertificate"].encode())
        proof.verify_directly_issued_by(x509.load_pem_x509_certificate(ca_certificate.encode()))
        code = proof.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
    except Exception as e:
        raise InvalidRequestException(f"verification certificate: {e}") from e
    if code != self.get_registration_code():
        raise InvalidRequestException("registration code")
    return _register_ca(self, ca_certificate, *args, **kwargs)


def _list(self: Any) -> Any:
    """ListCertificates with order and pages."""
    found = list(self.iot_backend.list_certificates())
    if self._get_param("isAscendingOrder") not in (True, "true"):
        found.reverse()
    start, size = int(self._get_param("marker") or 0), int(self._get_param("pageSize") or 25)
    answer: dict[str, Any] = {"certificates": [c.to_dict() for c in found[start : start + size]]}
    if start + size < len(found):
        answer["nextMarker"] = str(start + size)
    return responses.ActionResult(answer)


models.IoTBackend.get_registration_code = lambda self: hashlib.sha256(self.account_id.encode()).hexdigest()
models.IoTBackend.create_certificate_from_csr = _certificate_from_csr
models.IoTBackend.create_thing = _thing
models.IoTBackend.register_ca_certificate = _ca
models.FakeEndpoint.__init__ = _same_endpoint
responses.IoTResponse.list_certificates = _list

_OPERATIONS = {
    ("POST", "things"): "CreateThing",
    ("POST", "certificates"): "CreateCertificateFromCsr",
    ("GET", "certificates"): "ListCertificates",
    ("GET", "endpoint"): "DescribeEndpoint",
    ("PUT", "target-policies"): "AttachPolicy",
    ("PUT", "things"): "AttachThingPrincipal",
    ("GET", "things"): "ListThingPrincipals",
    ("POST", "policies"): "CreatePolicy",
    ("GET", "policies"): "GetPolicy",
    ("POST", "cacertificate"): "RegisterCACertificate",
}
_request = threading.local()


class Wrapped:
    """Writes each request down, then lets moto answer, or fails as it was told to."""

    def __init__(self, app: Any, log: Any) -> None:
        self.app, self.log, self.lock = app, log, threading.Lock()
        self.faults: list[list[str]] = []

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        operation = _OPERATIONS.get((environ["REQUEST_METHOD"], path.split("/")[1]), environ["REQUEST_METHOD"] + " " + path)
        _request.body = body
        fault = self._fault(operation)
        identity = environ.get("HTTP_X_AMZN_PRINCIPAL", "")
        if operation == "CreateCertificateFromCsr":
            csr = x509.load_pem_x509_csr(json.loads(body)["certificateSigningRequest"].encode())
            identity = csr.subject.rfc4514_string()
        elif operation == "AttachPolicy":
            identity = json.loads(body)["target"]
        row = {"operation": operation, "path": path, "query": parse_qs(query), "identity": identity, "fault": fault[0] if fault else None}
        with self.lock:
            self.log.write(json.dumps(row) + "\n")
            self.log.flush()
        if fault and fault[0] == "throttle":
            return self._error(start, "429 Too Many Requests", "ThrottlingException", "Rate exceeded")
        if fault and fault[0] == "error":
            return self._error(start, f"{fault[2]} Error", fault[3], "as told")
        environ["wsgi.input"] = __import__("io").BytesIO(body)
        answer = list(self.app(environ, start))
        if fault and fault[0] == "stall":
            threading.Event().wait(5)  # longer than the client waits
        if fault and fault[0] == "drop":
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError("the answer is lost, as told")
        return answer

    def _fault(self, operation: str) -> list[str] | None:
        with self.lock:
            for fault in self.faults:
                if fault[1] in (operation, "*"):
                    if fault[0] == "throttle":
                        fault[2] = str(int(fault[2]) - 1)
                    if fault[0] in ("drop", "stall") or (fault[0] == "throttle" and fault[2] == "0"):
                        self.faults.remove(fault)
                    return fault
        return None

    @staticmethod
    def _error(start: Any, status: str, code: str, message: str) -> list[bytes]:
        start(status, [("Content-Type", "application/json"), ("x-amzn-ErrorType", code)])
        return [json.dumps({"message": message, "code": code}).encode()]


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: Any) -> None:
        pass


def main() -> None:
    with open(sys.argv[1], "a", encoding="utf-8") as log:
        app = Wrapped(DomainDispatcherApplication(create_backend_app), log)
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        print(server.port, flush=True)
        for line in sys.stdin:  # until whoever started us goes away
            words = line.split()
            with app.lock:
                app.faults[:] = [] if words[0] in ("clear", "reset") else [*app.faults, words]
                if words == ["reset"]:
                    models.iot_backends.reset()
                    log.seek(0)
                    log.truncate()
            print("ok", flush=True)
        server.shutdown()


if __name__ == "__main__":
    main()
