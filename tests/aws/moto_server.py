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
- A CA has no status of automatic registration, and UpdateCACertificate none to set. Documented: ENABLE, DISABLE.
- CreateJob: replaces a job of the same name, takes things that are not there, makes a group itself an execution, and forgets package
  versions. Documented: ResourceAlreadyExistsException (409), ResourceNotFoundException (404), an execution for each of its things.
- A job's status is QUEUED and its counts never change. Documented: IN_PROGRESS, CANCELED, COMPLETED, and counts of its executions.
- CancelJob leaves executions as they are. Documented: queued ones, and with force those in progress, are cancelled.
- GetJobDocument, ListJobExecutionsForJob of no job: 500, nothing. Documented: ResourceNotFoundException.
- ListThingsInThingGroup, SearchIndex: no pages. UpdateIndexingConfiguration: fails without a part for groups.
- AddThingToThingGroup twice: fine, as documented; the index has no connectivity but a random one, and no named shadows.

"execution JOB THING STATUS WHY" is what a device says of a job; "seen THING MILLISECONDS REASON" (0: never; reason -: connected) is
what the index knows of its connection.

Faults, by a line on standard input, for the next request whose operation matches: "throttle OPERATION N", "drop OPERATION" (AWS acts, the
answer is lost), "stall OPERATION" (the answer is late), "error OPERATION STATUS CODE" until "clear". "reset" empties account and log.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import sys
import threading
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

from botocore.loaders import Loader
from botocore.model import ServiceModel
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from moto.core.config import default_user_config
from moto.core.utils import utcnow
from moto.iot import models, responses
from moto.iot.exceptions import InvalidRequestException, ResourceAlreadyExistsException
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
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
    made = _register_ca(self, ca_certificate, *args, **kwargs)
    made.automatic = "ENABLE" if _request.query.get("allowAutoRegistration") == ["true"] else "DISABLE"
    return made


_update_ca = models.IoTBackend.update_ca_certificate


def _changed_ca(self: Any, certificate_id: str, *args: Any, **kwargs: Any) -> None:
    _update_ca(self, certificate_id, *args, **kwargs)
    [status] = _request.query.get("newAutoRegistrationStatus", [None])
    if status:
        self.describe_ca_certificate(certificate_id).automatic = status


def _described_ca(self: Any) -> dict[str, Any]:
    return {**models.FakeCertificate.to_description_dict(self), "autoRegistrationStatus": self.automatic}


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
models.IoTBackend.update_ca_certificate = _changed_ca
models.FakeCaCertificate.to_description_dict = _described_ca
models.FakeEndpoint.__init__ = _same_endpoint
responses.IoTResponse.list_certificates = _list

# --- jobs -------------------------------------------------------------------------------------------------------------------------------
_create_job = models.IoTBackend.create_job
_cancel_job = models.IoTBackend.cancel_job
_describe_job = models.IoTBackend.describe_job


def _job(self: Any, job_id: str, targets: list[str], **kwargs: Any) -> Any:
    if job_id in self.jobs:
        raise ResourceAlreadyExistsException("Job already exists", job_id, self.jobs[job_id].job_arn)
    things: list[str] = []
    for target in targets:
        if ":thinggroup/" in target:
            things += [thing.arn for thing in self.list_things_in_thing_group(target.rpartition("/")[2])]
        else:
            self.describe_thing(target.rpartition("/")[2])
            things.append(target)
    made = _create_job(self, job_id=job_id, targets=things, **kwargs)
    job = self.jobs[job_id]
    job.targets, job.status = targets, "IN_PROGRESS"
    job.packages = json.loads(_request.body).get("destinationPackageVersions")
    return made


def _counted(self: Any, job_id: str) -> Any:
    job = _describe_job(self, job_id)
    rows = [execution.status for (of, _), execution in self.job_executions.items() if of == job_id]
    names = {"QUEUED": "Queued", "IN_PROGRESS": "InProgress", "SUCCEEDED": "Succeeded", "FAILED": "Failed", "REJECTED": "Rejected"}
    names |= {"TIMED_OUT": "TimedOut", "REMOVED": "Removed", "CANCELED": "Canceled"}
    job.job_process_details = {f"numberOf{name}Things": rows.count(status) for status, name in names.items()}
    if job.status == "IN_PROGRESS" and not {"QUEUED", "IN_PROGRESS"} & set(rows):
        job.status = "COMPLETED"
    return job


def _cancelled(self: Any, job_id: str, reason_code: str, comment: str, force: Any) -> Any:
    job = _describe_job(self, job_id)
    if job.status != "IN_PROGRESS":
        raise InvalidRequestException("The job is not in progress")
    job.status = "CANCELED"  # _cancel_job looks at it first
    for (of, _), execution in self.job_executions.items():
        if of == job_id and (execution.status == "QUEUED" or (force in (True, "true") and execution.status == "IN_PROGRESS")):
            execution.status = "CANCELED"
    return _cancel_job(self, job_id, reason_code, comment, force)


def _document(self: Any, job_id: str) -> Any:
    return _describe_job(self, job_id)


def execution(job_id: str, thing: str, status: str, why: str) -> None:
    """What a device says of a job."""
    for account in models.iot_backends.values():
        for backend in account.values():
            if found := backend.job_executions.get((job_id, thing)):
                found.status, found.last_updated_at = status, utcnow()
                found.status_details_map = {} if why == "-" else {"why": why}


# --- groups and the index ---------------------------------------------------------------------------------------------------------------
def _page(self: Any, rows: list[Any], field: str, limit: int) -> Any:
    start, size = int(self._get_param("nextToken") or 0), min(limit, int(self._get_param("maxResults") or 25))
    answer: dict[str, Any] = {field: rows[start : start + size]}
    if start + size < len(rows):
        answer["nextToken"] = str(start + size)
    return responses.ActionResult(answer)


def _members(self: Any) -> Any:
    rows = self.iot_backend.list_things_in_thing_group(thing_group_name=self._get_param("thingGroupName"))
    return _page(self, [thing.thing_name for thing in rows], "things", 250)


_connections: dict[str, tuple[int, str]] = {}


def _search(self: Any) -> Any:
    rows = []
    for thing in self.iot_backend.search_index(self._get_param("queryString")):
        name = thing["thingName"]
        found = self.iot_backend.things[next(arn for arn, t in self.iot_backend.things.items() if t.thing_name == name)]
        shadows = {n: s.to_dict() for n, s in found.thing_shadows.items() if n}
        at, reason = _connections.get(name, (0, "-"))
        known = {"timestamp": at} | ({} if reason == "-" else {"disconnectReason": reason}) if at else {}
        row = {"thingName": name, "thingId": thing["thingId"], "connectivity": {"connected": bool(at) and reason == "-", **known}}
        if shadows:
            row["shadow"] = json.dumps({"name": {n: {"reported": s["state"].get("reported", {})} for n, s in shadows.items()}})
        rows.append(row)
    return _page(self, rows, "things", 100)


_update_indexing = models.IoTBackend.update_indexing_configuration


def _indexing(self: Any, thing: Any, group: Any) -> None:
    _update_indexing(self, thing or {}, group or {})


def _executions(self: Any, job_id: str, **kwargs: Any) -> Any:
    _describe_job(self, job_id)
    return _list_executions(self, job_id=job_id, **kwargs)


_list_executions = models.IoTBackend.list_job_executions_for_job
models.IoTBackend.list_job_executions_for_job = _executions
models.IoTBackend.create_job = _job
models.IoTBackend.describe_job = _counted
models.IoTBackend.cancel_job = _cancelled
models.IoTBackend.get_job_document = _document
models.IoTBackend.update_indexing_configuration = _indexing
responses.IoTResponse.list_things_in_thing_group = _members
responses.IoTResponse.search_index = _search


def _operations() -> list[tuple[str, re.Pattern[str], str]]:
    """Method, path and name of every operation, from botocore's model; the longest paths first."""
    model = ServiceModel(Loader().load_service_model("iot", "service-2"))
    rows = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        path = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(http["requestUri"].partition("?")[0]))
        rows.append((http["method"], re.compile(path), name))
    return sorted(rows, key=lambda row: ("[^/]+" in row[1].pattern, -len(row[1].pattern)))


_OPERATIONS = _operations()
_request = threading.local()


def _operation(method: str, path: str) -> str:
    return next((name for m, pattern, name in _OPERATIONS if m == method and pattern.fullmatch(path)), f"{method} {path}")


class Wrapped:
    """Writes each request down, then lets moto answer, or fails as it was told to."""

    def __init__(self, app: Any, log: Any) -> None:
        self.app, self.log, self.lock = app, log, threading.Lock()
        self.faults: list[list[str]] = []

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        operation = _operation(environ["REQUEST_METHOD"], path)
        _request.body, _request.query = body, parse_qs(query)
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
            if words[0] == "execution":
                execution(*words[1:4], " ".join(words[4:]))
            elif words[0] == "seen":
                _connections[words[1]] = int(words[2]), words[3]
            else:
                command(app, words, log)
            print("ok", flush=True)
        server.shutdown()


def command(app: Wrapped, words: list[str], log: Any) -> None:
    """A fault, or the end of all of them."""
    with app.lock:
        app.faults[:] = [] if words[0] in ("clear", "reset") else [*app.faults, words]
        if words == ["reset"]:
            models.iot_backends.reset()
            s3_backends.reset()
            _connections.clear()
            log.seek(0)
            log.truncate()


if __name__ == "__main__":
    main()
