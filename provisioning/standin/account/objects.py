"""A folder of the state that plays S3: PUT, GET, HEAD and DELETE of objects and buckets in path style, every bucket with versions.

Files are named by the hash of where they belong, so that no key of an object can lead out of the folder.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import zlib
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape

from provisioning.standin.account.faults import Refusal, invalid
from provisioning.standin.account.model import Request, Response
from provisioning.standin.account.state import AccountState
from provisioning.standin.account.store import Record
from provisioning.standin.state_folder import write

_SHA256 = "x-amz-checksum-sha256"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def _folder(account: AccountState) -> Path:
    folder = account.folder / "s3"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _file(account: AccountState, record: Record) -> Path:
    place = f"{record['bucket']}/{record['key']}\0{record['version']}"
    return _folder(account) / hashlib.sha256(place.encode()).hexdigest()


def find(account: AccountState, bucket: str, key: str, version: str | None = None) -> Record | None:
    """The object, as it is now or as it was in `version`."""
    if version is None:
        version = (account.table("objects").get(bucket, key) or {}).get("version", "")
    return account.table("objects").get(bucket, key, str(version))


def content(account: AccountState, record: Record) -> bytes:
    return _file(account, record).read_bytes()


def by_url(account: AccountState, url: str) -> bytes:
    """What an S3 URL, in path style or with the bucket in the host's name, leads to. Raises Fault."""
    parts = urlsplit(url)
    host, path = parts.netloc, unquote(parts.path).lstrip("/")
    bucket, key = (host.partition(".s3")[0], path) if ".s3" in host else (path.partition("/")[0], path.partition("/")[2])
    found = find(account, bucket, key)
    if parts.scheme != "https" or found is None:
        raise invalid(f"{url} leads to no object")
    return content(account, found)


# -- requests ------------------------------------------------------------------------------------------------------------


def answer(account: AccountState, request: Request) -> tuple[str, Response]:
    """The operation that `request` is, by S3's names, and its answer. An error is a response, too."""
    bucket, _, key = unquote(request.path).lstrip("/").partition("/")
    name, run = _OPERATIONS.get((request.method, bool(key)), (f"{request.method} {request.path}", _unknown))
    try:
        with account.transaction():
            return name, run(account, request, bucket, key)
    except Refusal as refusal:
        return name, _error(refusal)


def _error(refusal: Refusal) -> Response:
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{refusal.name}</Code><Message>{escape(refusal.message)}</Message></Error>"
    return Response(refusal.status, body.encode(), {"content-type": "application/xml", "x-amzn-errortype": refusal.name})


def _unknown(_account: AccountState, request: Request, _bucket: str, _key: str) -> Response:
    raise Refusal(501, "NotImplemented", f"The cloud stand-in's S3 has no {request.method} {request.path}.")


def _bucket(account: AccountState, bucket: str) -> None:
    if account.table("objects").get(bucket) is None:
        raise Refusal(404, "NoSuchBucket", f"The bucket {bucket} does not exist")


def _object(account: AccountState, request: Request, bucket: str, key: str) -> Record:
    _bucket(account, bucket)
    version = next((value for name, value in request.query if name == "versionId"), None)
    found = find(account, bucket, key, version)
    if found is None:
        raise Refusal(404, "NoSuchKey", f"The key {key} does not exist in {bucket}")
    return found


def _make_bucket(account: AccountState, _request: Request, bucket: str, _key: str) -> Response:
    if not _BUCKET.fullmatch(bucket):
        raise Refusal(400, "InvalidBucketName", f"{bucket} is not a name of a bucket")
    account.table("objects").put(bucket, record={"at": account.now()})
    return Response(headers={"location": f"/{bucket}"})


def _look_at_bucket(account: AccountState, _request: Request, bucket: str, _key: str) -> Response:
    _bucket(account, bucket)
    return Response()


def _put(account: AccountState, request: Request, bucket: str, key: str) -> Response:
    _bucket(account, bucket)
    body = _plain(request)
    if request.headers.get("if-none-match") == "*" and find(account, bucket, key) is not None:
        raise Refusal(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    if request.headers.get(_SHA256, digest) != digest:
        raise Refusal(400, "BadDigest", "The SHA256 that was sent is not that of the body")
    version = secrets.token_hex(16)
    record = {
        "bucket": bucket,
        "key": key,
        "version": version,
        "size": len(body),
        "etag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"',
        "sha256": digest if _SHA256 in request.headers else None,
        "at": account.now(),
    }
    write(_file(account, record), body, 0o600)
    account.table("objects").put(bucket, key, version, record=record)
    account.table("objects").put(bucket, key, record={"version": version})
    return Response(headers=_headers(record))


def _headers(record: Record) -> dict[str, str]:
    return {"etag": record["etag"], "x-amz-version-id": record["version"]}


def _get(account: AccountState, request: Request, bucket: str, key: str) -> Response:
    found = _object(account, request, bucket, key)
    checked = found["sha256"] and request.headers.get("x-amz-checksum-mode") == "ENABLED"
    checksum = {_SHA256: found["sha256"]} if checked else {}
    headers = _headers(found) | checksum | {"last-modified": formatdate(found["at"], usegmt=True), "content-type": "binary/octet-stream"}
    return Response(200, content(account, found), headers)


def _delete(account: AccountState, _request: Request, bucket: str, key: str) -> Response:
    _bucket(account, bucket)
    if account.table("objects").get(bucket, key) is not None:
        account.table("objects").delete(bucket, key)  # its versions stay, as in a bucket with versions
    return Response(204)


Run = Callable[[AccountState, Request, str, str], Response]
_OPERATIONS: dict[tuple[str, bool], tuple[str, Run]] = {
    ("PUT", False): ("CreateBucket", _make_bucket),
    ("HEAD", False): ("HeadBucket", _look_at_bucket),
    ("PUT", True): ("PutObject", _put),
    ("GET", True): ("GetObject", _get),
    ("HEAD", True): ("HeadObject", _get),
    ("DELETE", True): ("DeleteObject", _delete),
}


def _plain(request: Request) -> bytes:
    """The body out of its coding `aws-chunked`, in which boto3 sends an object and its checksum behind it."""
    if "aws-chunked" not in request.headers.get("content-encoding", ""):
        return request.body
    body, rest = bytearray(), request.body
    while True:
        head, _, rest = rest.partition(b"\r\n")
        size = int(head.partition(b";")[0] or b"0", 16)
        if not size:
            break
        body += rest[:size]
        rest = rest[size + 2 :]
    name, _, stated = rest.partition(b"\r\n")[0].decode("ascii").partition(":")
    if name == "x-amz-checksum-crc32" and base64.b64decode(stated) != zlib.crc32(body).to_bytes(4, "big"):
        raise Refusal(400, "BadDigest", "The CRC32 that was sent is not that of the body")
    return bytes(body)
