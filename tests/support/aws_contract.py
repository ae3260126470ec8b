"""An account that answers what a test says, where every request and every answer is held against botocore's own model of the service: what
moto does not have is tried so. A request that is not expected, one that does not come, and one that the model does not take all fail.

botocore checks types, required fields and lower bounds; patterns, enums and upper bounds are checked here.
"""

from __future__ import annotations

import re
from typing import Any

import boto3
from botocore.model import Shape
from botocore.stub import Stubber

from provisioning.aws.iot_api import Aws

REGION = "us-east-1"
# Java's classes of characters, as AWS's patterns have them -> Python's.
_CLASSES = {r"\p{C}": r"\x00-\x1f\x7f", r"\p{Upper}": "A-Z", r"\p{Digit}": "0-9", r"\p{Graph}": "!-~", r"\p{L}\p{Z}\p{N}": r"\w\s"}


def violations(shape: Shape, value: Any, path: str = "") -> list[str]:
    """What of a value its shape does not allow, beyond what botocore looks at."""
    found: list[str] = []
    if shape.type_name == "structure":
        for name, part in value.items():
            if name not in shape.members:
                found.append(f"{path}.{name} is not in the model")
            else:
                found += violations(shape.members[name], part, f"{path}.{name}")
    elif shape.type_name == "list":
        found += _bounds(shape, len(value), path)
        for number, part in enumerate(value):
            found += violations(shape.member, part, f"{path}[{number}]")
    elif shape.type_name == "map":
        for key, part in value.items():
            found += violations(shape.key, key, f"{path}.{key}") + violations(shape.value, part, f"{path}.{key}")
    elif shape.type_name == "string":
        found += _bounds(shape, len(value), path)
        if shape.enum and value not in shape.enum:
            found.append(f"{path}: {value!r} is none of {shape.enum}")
        if pattern := shape.metadata.get("pattern"):
            for java, python in _CLASSES.items():
                pattern = pattern.replace(java, python)
            if not re.fullmatch(pattern.removeprefix("^").removesuffix("$").replace("9-_.", r"9\-_."), value):
                found.append(f"{path}: {value!r} is not {pattern}")
    elif shape.type_name in ("integer", "long", "double", "float"):
        found += _bounds(shape, value, path)
    return found


def _bounds(shape: Shape, size: float, path: str) -> list[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    return (
        [f"{path} is {size}, and {low} to {high} are allowed"]
        if not (low is None or low <= size) or not (high is None or size <= high)
        else []
    )


class Contract:
    """Expected requests, in order, and what AWS answers."""

    def __init__(self) -> None:
        self._clients: dict[str, Any] = {}
        self._stubs: dict[str, Stubber] = {}
        self.aws = Aws(self._client("iot"), REGION, rate=0, sleep=lambda _: None, clients=self._client)

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            client = boto3.client(service, region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing")
            client.meta.events.register("provide-client-params.*.*", self._request)
            stub = Stubber(client)
            stub.activate()
            self._clients[service], self._stubs[service] = client, stub
        return self._clients[service]

    @staticmethod
    def _request(params: dict[str, Any], model: Any, **_: Any) -> None:
        found = violations(model.input_shape, params, model.name) if model.input_shape else []
        assert not found, found

    def expect(self, operation: str, arguments: dict[str, Any], answer: dict[str, Any] | None = None, *, service: str = "iot") -> None:
        """The next request of a service, as boto3 spells it, and its answer."""
        client = self._client(service)
        shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation]).output_shape
        found = violations(shape, answer or {}, operation) if shape else []
        assert not found, found
        self._stubs[service].add_response(operation, answer or {}, arguments)

    def refuse(self, operation: str, arguments: dict[str, Any], code: str, status: int = 400, *, service: str = "iot") -> None:
        """The next request is answered with an error that the model names for this operation (those that every service has aside)."""
        client = self._client(service)
        model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
        named = {e.name for e in model.error_shapes} | {e.error_code for e in model.error_shapes}
        assert service != "iot" or code in named, f"{operation} never answers {code}: {sorted(named)}"
        self._stubs[service].add_client_error(operation, code, "as told", status, expected_params=arguments)

    def done(self) -> None:
        """Raises AssertionError when a request was expected and did not come."""
        for stub in self._stubs.values():
            stub.assert_no_pending_responses()
