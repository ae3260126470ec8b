"""MQTT-based file delivery: streams of files that lie in S3, and blocks of them for devices.

By the developer guide of AWS IoT ("Using AWS IoT MQTT-based file delivery in devices"), JSON alone; CBOR is not there.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

from provisioning.standin.account import objects
from provisioning.standin.account.calls import LONGEST_TOKEN, Call
from provisioning.standin.account.faults import Fault, invalid, not_found
from provisioning.standin.account.model import moment
from provisioning.standin.account.operations import Operations, Params, Result, page
from provisioning.standin.account.state import AccountState
from provisioning.standin.account.store import Record

OPERATIONS = Operations("iot")
_carries = OPERATIONS.carries

SMALLEST_BLOCK, LARGEST_BLOCK = 256, 131072  # bytes
_MOST_BLOCKS = 98304  # 24 MB of the smallest
_LARGEST_ANSWER = 131072  # bytes of data for one request
_LARGEST_FILE = 24 * 1024 * 1024
_LONGEST_BITMAP = 12288  # bytes; it must have fewer
_MOST_FILES = 50


# -- the control plane ---------------------------------------------------------------------------------------------------


def _files(account: AccountState, files: list[Params]) -> list[Record]:
    found = []
    for file in files:
        place = file.get("s3Location", {})
        if "fileId" not in file or not {"bucket", "key"} <= set(place):
            raise invalid("A file of a stream has a fileId and an s3Location with bucket and key")
        record = objects.find(account, place["bucket"], place["key"], place.get("version"))
        if record is None:
            raise invalid(f"There is no object {place['key']} in bucket {place['bucket']}")
        if record["size"] > _LARGEST_FILE:
            raise Fault("LimitExceededException", f"A file of a stream has at most {_LARGEST_FILE} bytes")
        found.append({"fileId": file["fileId"], "bucket": place["bucket"], "key": place["key"], "version": record["version"]})
    if len({file["fileId"] for file in found}) != len(found):
        raise invalid("Files of a stream have different ids")
    if len(found) > _MOST_FILES:
        raise Fault("LimitExceededException", f"A stream has at most {_MOST_FILES} files")
    return found


def _stream(account: AccountState, name: str) -> Record:
    found = account.table("streams").get(name)
    if found is None:
        raise not_found(f"Stream {name} not found")
    return found


def _made(account: AccountState, record: Record) -> Result:
    return {
        "streamId": record["streamId"],
        "streamArn": account.arn(f"stream/{record['streamId']}"),
        "description": record.get("description"),
        "streamVersion": record["version"],
    }


@_carries("CreateStream", "streamId description files roleArn")
def create_stream(account: AccountState, params: Params) -> Result:
    name = params["streamId"]
    if account.table("streams").get(name) is not None:
        raise Fault(
            "ResourceAlreadyExistsException", f"Stream {name} already exists", resourceId=name, resourceArn=account.arn(f"stream/{name}")
        )
    record = {
        "streamId": name,
        "version": 0,
        "files": _files(account, params["files"]),
        "roleArn": params["roleArn"],
        "createdAt": account.now(),
        "lastUpdatedAt": account.now(),
        **({"description": params["description"]} if "description" in params else {}),
    }
    return _made(account, account.table("streams").put(name, record=record))


@_carries("UpdateStream", "streamId description files roleArn")
def update_stream(account: AccountState, params: Params) -> Result:
    record = _stream(account, params["streamId"])
    changed: Params = {key: params[key] for key in ("description", "roleArn") if key in params}
    if "files" in params:
        changed["files"] = _files(account, params["files"])
    version = record["version"] + 1
    return _made(account, account.table("streams").change(record["streamId"], version=version, lastUpdatedAt=account.now(), **changed))


@_carries("DescribeStream", "streamId")
def describe_stream(account: AccountState, params: Params) -> Result:
    record = _stream(account, params["streamId"])
    files = [
        {"fileId": file["fileId"], "s3Location": {"bucket": file["bucket"], "key": file["key"], "version": file["version"]}}
        for file in record["files"]
    ]
    return {
        "streamInfo": {
            **_made(account, record),
            "files": files,
            "roleArn": record["roleArn"],
            "createdAt": moment(record["createdAt"]),
            "lastUpdatedAt": moment(record["lastUpdatedAt"]),
        }
    }


@_carries("ListStreams", "maxResults nextToken ascendingOrder")
def list_streams(account: AccountState, params: Params) -> Result:
    found = sorted(account.table("streams").values(), key=lambda each: each["createdAt"], reverse=not params.get("ascendingOrder"))
    shown, token = page(found, params)
    return {"streams": [_made(account, record) for record in shown], "nextToken": token}


@_carries("DeleteStream", "streamId")
def delete_stream(account: AccountState, params: Params) -> Result:
    account.table("streams").delete(_stream(account, params["streamId"])["streamId"])
    return {}


# -- devices -------------------------------------------------------------------------------------------------------------


class NotAccepted(Exception):
    """A request that is not carried out; the code is one of the developer guide's."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


Run = Callable[[AccountState, Call, dict[str, Any], Record], list[tuple[str, dict[str, Any]]]]


def _answered(run: Run) -> Callable[[AccountState, Call], None]:
    """A handler that answers with what `run` gives (last part of the topic, message), or on rejected."""

    def handle(account: AccountState, call: Call) -> None:
        base = f"$aws/things/{call.thing}/streams/{call.names['streamId']}"
        token: dict[str, Any] = {}
        try:
            body = _body(call, token)
            stream = account.table("streams").get(call.names["streamId"])
            if stream is None:
                raise NotAccepted("ResourceNotFound", f"There is no stream {call.names['streamId']}")
            answers = run(account, call, body, stream)
        except NotAccepted as error:
            answers = [("rejected", {"o": error.name, "m": str(error)})]
        for last, message in answers:
            account.post(f"{base}/{last}/json", {**token, **message})

    return handle


def _body(call: Call, token: dict[str, Any]) -> dict[str, Any]:
    try:
        body = call.json()
    except ValueError as error:
        raise NotAccepted("InvalidJson", f"The request is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise NotAccepted("InvalidJson", "The request is not a JSON object")
    given = body.get("c")
    if given is not None:
        if not isinstance(given, str) or len(given.encode()) > LONGEST_TOKEN:
            raise NotAccepted("InvalidRequest", f"The client token has at most {LONGEST_TOKEN} bytes")
        token["c"] = given
    return body


def _describe(account: AccountState, _call: Call, _body: dict[str, Any], stream: Record) -> list[tuple[str, dict[str, Any]]]:
    files = [{"f": file["fileId"], "z": _object(account, file)["size"]} for file in stream["files"]]
    description = {"d": stream["description"]} if "description" in stream else {}
    return [("description", {"s": stream["version"], **description, "r": files})]


def _object(account: AccountState, file: Record) -> Record:
    found = objects.find(account, file["bucket"], file["key"], file["version"])
    if found is None:
        raise NotAccepted("ResourceNotFound", f"The object of file {file['fileId']} is not there")
    return found


def _number(body: dict[str, Any], name: str, least: int, most: int, otherwise: str, default: int | None = None) -> int:
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise NotAccepted("InvalidRequest", f"'{name}' must be an integer")
    if not least <= value <= most:
        raise NotAccepted(otherwise, f"'{name}' must be between {least} and {most}, it is {value}")
    return value


def _get(account: AccountState, _call: Call, body: dict[str, Any], stream: Record) -> list[tuple[str, dict[str, Any]]]:
    if "s" in body and _number(body, "s", 0, 2**31, "InvalidRequest") != stream["version"]:
        raise NotAccepted("VersionMismatch", f"The stream has version {stream['version']}")
    number = _number(body, "f", 0, 255, "InvalidRequest")
    size = _number(body, "l", SMALLEST_BLOCK, LARGEST_BLOCK, "BlockSizeOutOfBounds")
    offset = _number(body, "o", 0, _MOST_BLOCKS, "OffsetOutOfBounds", 0)
    count = _number(body, "n", 0, _MOST_BLOCKS, "BlockCountLimitExceeded", _LARGEST_ANSWER // size)
    file = next((each for each in stream["files"] if each["fileId"] == number), None)
    if file is None:
        raise NotAccepted("ResourceNotFound", f"The stream has no file {number}")
    record = _object(account, file)
    blocks = -(-record["size"] // size)
    wanted = _bits(body["b"]) if "b" in body else range(count)
    found = [offset + each for each in wanted if offset + each < blocks][: min(count, max(1, _LARGEST_ANSWER // size))]
    if not found:
        raise NotAccepted("ResourceNotFound", f"The file has {blocks} blocks of {size} bytes, none of those that were asked for")
    content = objects.content(account, record)
    answers = []
    for index in found:
        block = content[index * size : (index + 1) * size]
        answers.append(("data", {"f": number, "l": len(block), "i": index, "p": base64.b64encode(block).decode()}))
    return answers


def _bits(text: Any) -> list[int]:
    """The numbers of the bits that are set: bit 0 is the lowest of the first byte."""
    digits = text.removeprefix("0x") if isinstance(text, str) else ""
    if not re.fullmatch(r"([0-9a-fA-F]{2})+", digits):
        raise NotAccepted("InvalidRequest", "'b' must be bytes in hexadecimal")
    if len(digits) // 2 >= _LONGEST_BITMAP:
        raise NotAccepted("BlockBitmapLimitExceeded", f"'b' must have fewer than {_LONGEST_BITMAP} bytes")
    return [8 * at + bit for at, byte in enumerate(bytes.fromhex(digits)) for bit in range(8) if byte >> bit & 1]


on_describe, on_get = _answered(_describe), _answered(_get)
