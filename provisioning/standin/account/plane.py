"""The control plane: a signed request in, the operation it names, its answer out. One way for every operation of every service."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Any

from provisioning.standin.account import (
    certificates,
    connectivity,
    device_jobs,
    executions,
    fleet_index,
    jobs,
    objects,
    packages,
    shadows,
    streams,
    things,
)
from provisioning.standin.account.faults import Fault, Refusal, missing
from provisioning.standin.account.model import Operation, Request, Response, failure
from provisioning.standin.account.models import MODELS, SIGNED_AS
from provisioning.standin.account.operations import Carried, Operations
from provisioning.standin.account.signature import Signatures
from provisioning.standin.account.state import AccountState
from provisioning.standin.account.throttle import Throttle

_PARTS = (certificates, connectivity, device_jobs, fleet_index, jobs, packages, shadows, streams, things)
_TABLES: tuple[Operations, ...] = tuple(part.OPERATIONS for part in _PARTS)
CARRIED: dict[tuple[str, str], Carried] = {(table.service, name): each for table in _TABLES for name, each in table.table.items()}

Report = Callable[..., None]


class ControlPlane:
    """Answers requests to one account. `report(service, operation, status, code)` gets each."""

    def __init__(self, account: AccountState, signatures: Signatures, throttle: Throttle, report: Report) -> None:
        self._account = account
        self._signatures = signatures
        self.throttle = throttle
        self._report = report
        self.changed: Callable[[], None] = lambda: None  # called after each request that was carried out

    async def answer(self, request: Request) -> Response:
        seen = {"service": "", "operation": f"{request.method} {request.path}"}
        try:
            response = self._carry_out(request, seen)
        except Refusal as refusal:
            response = failure(refusal.status, refusal.name, refusal.message)
        except Exception as error:  # what is wrong here is answered as AWS answers it, and reported
            logging.getLogger(__name__).debug("control plane", exc_info=True)
            response = failure(500, "InternalFailureException", f"{type(error).__name__}: {error}")
        response.headers.setdefault("x-amzn-requestid", str(uuid.uuid4()))
        self._report(**seen, status=response.status, code=response.headers.get("x-amzn-errortype", ""))
        return response

    def _carry_out(self, request: Request, seen: dict[str, str]) -> Response:
        host = request.headers.get("host", "")
        url = f"https://{host}{request.path}" + (f"?{request.raw_query}" if request.raw_query else "")
        signed = self._signatures.check(request, url)
        if signed.service == "s3":
            seen["service"] = "s3"
            seen["operation"], response = objects.answer(self._account, request)
            return response
        service = SIGNED_AS.get(signed.service)
        seen["service"] = service or signed.service
        if service is None:
            raise missing(f"service {signed.service}")
        found = MODELS.service(service).match(request)
        if found is None:
            raise Refusal(404, "UnknownOperationException", f"There is no operation {request.method} {request.path}")
        operation, in_path = found
        seen["operation"] = operation.name
        try:
            return operation.serialise(self._run(operation, request, in_path))
        except Fault as fault:
            return operation.failure(fault)

    def _run(self, operation: Operation, request: Request, in_path: dict[str, str]) -> dict[str, Any]:
        if not self.throttle.takes(operation.name):
            raise Fault("ThrottlingException", "Rate exceeded")
        carried = CARRIED.get((operation.service.name, operation.name))
        if carried is None:
            raise missing(f"operation {operation.name}")
        params = operation.parse(request, in_path)
        if beyond := sorted(set(params) - carried.takes):
            raise missing(f"{', '.join(beyond)} in {operation.name}")
        with self._account.transaction():
            result = carried.run(self._account, params)
            executions.run_due(self._account)
        self.changed()
        return result
