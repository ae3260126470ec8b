"""AWS's REST API as botocore's own service models have it: a request into parameters, parameters checked, a result into a response.

One layer for every operation of every service with the protocol rest-json. What a client library makes of a model in one direction is
undone here in the other, so that nothing of an operation's wire form is written down a second time.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from urllib.parse import unquote

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.utils import parse_timestamp
from botocore.validate import ParamValidator

from provisioning.standin.account.constraints import violations
from provisioning.standin.account.faults import Fault, Refusal, invalid

Params = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """An HTTP request: `path` as it came, percent-encoded; `query` decoded; names of `headers` in lower case."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    raw_query: str = ""


@dataclass(frozen=True)
class Response:
    """An HTTP response."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Service:
    """One service of AWS, such as `iot`, by its model."""

    def __init__(self, name: str, loader: Loader) -> None:
        self.name = name
        self.model = ServiceModel(loader.load_service_model(name, "service-2"), name)
        self.signing_name: str = self.model.metadata.get("signingName", name)
        self._routes: list[tuple[int, str, re.Pattern[str], str]] = []
        for operation in self.model.operation_names:
            http = self.model.operation_model(operation).http
            path = http["requestUri"].partition("?")[0]
            self._routes.append((path.count("{"), http["method"], _pattern(path), operation))
        self._routes.sort(key=lambda route: route[0])  # /jobs/$next before /jobs/{jobId}

    def operation(self, name: str) -> Operation:
        return Operation(self.model.operation_model(name), self)

    def match(self, request: Request) -> tuple[Operation, dict[str, str]] | None:
        """The operation that `request` asks for, and the members in its path."""
        for _, method, pattern, name in self._routes:
            if method == request.method and (found := pattern.fullmatch(request.path)):
                return self.operation(name), {key: unquote(value) for key, value in found.groupdict().items()}
        return None


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)(\+?)\}", path)
    text = re.escape(parts[0])
    for name, greedy, literal in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        text += f"(?P<{name}>{'.+' if greedy else '[^/]+'})" + re.escape(literal)
    return re.compile(text)


class Operation:
    """One operation: `parse` and `serialise` are the two directions."""

    def __init__(self, model: Any, service: Service) -> None:
        self.model = model
        self.name: str = model.name
        self.service = service
        self.errors: dict[str, Any] = {shape.name: shape for shape in [*service.model.error_shapes, *model.error_shapes]}

    # -- a request -----------------------------------------------------------------------------------------------

    def parse(self, request: Request, in_path: Mapping[str, str]) -> Params:
        """The parameters as boto3's caller gave them. Raises Fault for what the model does not allow."""
        shape = self.model.input_shape
        params: Params = {}
        if shape is None:
            return params
        payload = shape.serialization.get("payload")
        in_body: dict[str, Any] = {}
        for name, member in shape.members.items():
            where, key = member.serialization.get("location"), member.serialization.get("name", name)
            if where is None:
                if name != payload:
                    in_body[name] = member
            elif (value := _outside_body(where, key, member, request, in_path)) is not None:
                params[name] = value
        if payload:
            params.update(_payload(payload, shape.members[payload], request.body))
        elif in_body:
            params.update(_structure(in_body, _json(request.body)))
        self.check(params)
        return params

    def check(self, params: Params) -> None:
        """Raises Fault when `params` are not what the model says: types, what is required, lengths, ranges, patterns, words."""
        shape = self.model.input_shape
        report = ParamValidator().validate(params, shape)
        if report.has_errors():
            raise invalid(" ".join(report.generate_report().split()))
        if found := violations(params, shape):
            raise invalid(f"{len(found)} validation error{'s' if found[1:] else ''} detected: {'; '.join(found)}")

    # -- a response ----------------------------------------------------------------------------------------------

    def serialise(self, result: Params) -> Response:
        """The response; `result` is held against the model first. Raises ValueError for a result that AWS could not have answered."""
        shape = self.model.output_shape
        status = int(self.model.http.get("responseCode", 200))
        if shape is None:
            return Response(status)
        result = _without_none(result)
        report = ParamValidator().validate(result, shape)
        if report.has_errors():
            raise ValueError(f"{self.name} has an answer that is not in its model: {' '.join(report.generate_report().split())}")
        payload = shape.serialization.get("payload")
        headers, body = {"content-type": "application/json"}, {}
        for name, value in result.items():
            member = shape.members[name]
            where, key = member.serialization.get("location"), member.serialization.get("name", name)
            if where == "header":
                headers[key] = str(value)
            elif where == "statusCode":
                status = int(value)
            elif name != payload:
                body[key] = _plain(member, value)
        if payload:
            value = result.get(payload, b"")
            if shape.members[payload].type_name == "blob":
                return Response(status, value, headers)
            return Response(status, json.dumps(_plain(shape.members[payload], value)).encode(), headers)
        return Response(status, json.dumps(body).encode(), headers)

    def failure(self, fault: Fault) -> Response:
        """The response for an error that this operation, or its service, has. Raises ValueError for any other."""
        name = fault.name
        if name == "InvalidRequestException" and name not in {shape.name for shape in self.model.error_shapes}:
            name = next((each for each in ("ValidationException", name) if each in self.errors), name)
        shape = self.errors.get(name)
        if shape is None:
            raise ValueError(f"{self.name} has no error {name} in its model")
        status = int(shape.metadata.get("error", {}).get("httpStatusCode", 400))
        return failure(status, name, fault.message, fault.members)


def failure(status: int, name: str, message: str, members: Mapping[str, Any] | None = None) -> Response:
    """An error as rest-json has it: its name in a header, the rest in the body."""
    headers = {"content-type": "application/json", "x-amzn-errortype": name}
    return Response(status, json.dumps({"message": message, **(members or {})}).encode(), headers)


# -- values ------------------------------------------------------------------------------------------------------------


def _json(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        value = json.loads(body)
    except ValueError as error:
        raise Refusal(400, "SerializationException", f"The body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Refusal(400, "SerializationException", "The body is not a JSON object")
    return value


def _payload(name: str, shape: Any, body: bytes) -> Params:
    if shape.type_name == "blob":
        return {name: body} if body else {}
    return {name: _value(shape, _json(body))} if body else {}


def _outside_body(where: str, key: str, shape: Any, request: Request, in_path: Mapping[str, str]) -> Any:
    if where == "uri":
        return _from_text(shape, in_path[key])
    if where == "querystring":
        values = [value for name, value in request.query if name == key]
        if shape.type_name == "list":
            return [_from_text(shape.member, value) for value in values] or None
        if shape.type_name == "map":
            return dict(request.query) or None
        return _from_text(shape, values[0]) if values else None
    if where == "header":
        text = request.headers.get(key.lower())
        return None if text is None else _from_text(shape, text)
    if where == "headers":
        found = {name[len(key) :]: value for name, value in request.headers.items() if name.startswith(key.lower())}
        return found or None
    raise ValueError(f"a member in {where}")


def _from_text(shape: Any, text: str) -> Any:
    """A member of path, query or header. What is not of its type stays text, for the validator to name."""
    try:
        return _TEXT.get(shape.type_name, str)(text)
    except (ValueError, OverflowError):
        return text


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


_TEXT: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "boolean": _boolean,
    "timestamp": parse_timestamp,
    "blob": base64.b64decode,
}


def _structure(members: Mapping[str, Any], value: Mapping[str, Any]) -> Params:
    by_wire = {member.serialization.get("name", name): (name, member) for name, member in members.items()}
    params: Params = {}
    for key, each in value.items():
        if key not in by_wire:
            raise invalid(f"There is no member {key}")
        if each is not None:
            name, member = by_wire[key]
            params[name] = _value(member, each)
    return params


def _value(shape: Any, value: Any) -> Any:
    """A value of the body as boto3's caller gave it."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        return _structure(shape.members, value)
    if kind == "list" and isinstance(value, list):
        return [_value(shape.member, each) for each in value]
    if kind == "map" and isinstance(value, dict):
        return {key: _value(shape.value, each) for key, each in value.items()}
    try:
        if kind == "blob" and isinstance(value, str):
            return base64.b64decode(value, validate=True)
        if kind == "timestamp":
            return parse_timestamp(value)
    except (ValueError, OverflowError, TypeError):
        return value
    return value


def _plain(shape: Any, value: Any) -> Any:
    """A value of a result as JSON has it; times are seconds since 1970."""
    kind = shape.type_name
    if kind == "structure":
        members = shape.members
        return {members[name].serialization.get("name", name): _plain(members[name], each) for name, each in value.items()}
    if kind == "list":
        return [_plain(shape.member, each) for each in value]
    if kind == "map":
        return {key: _plain(shape.value, each) for key, each in value.items()}
    if kind == "timestamp":
        return value.timestamp() if isinstance(value, datetime) else value
    if kind == "blob":
        return base64.b64encode(value).decode()
    return value


def _without_none(value: Any) -> Any:
    """Fields that are None are not there, at any depth."""
    if isinstance(value, dict):
        return {name: _without_none(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_none(each) for each in value]
    return value


def moment(seconds: float | None) -> datetime | None:
    """A time of the account as a result has it."""
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)
