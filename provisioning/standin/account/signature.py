"""Whose request it is: Signature Version 4, computed once more by botocore's own signer and compared."""

from __future__ import annotations

import configparser
import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from provisioning.standin.account.faults import Refusal
from provisioning.standin.account.model import Request
from provisioning.standin.state_folder import write

# AWS refuses a request that was signed longer ago, or that far in the future.
_SKEW = timedelta(minutes=15)
_HEADER = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request,\s*"
    r"SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{64})\Z"
)
_ENCODED = ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
_PROFILE = "default"


def credentials(path: Path) -> Credentials:
    """The account's access key pair, in the form of AWS's credentials file (0600); made on first use."""
    parser = configparser.ConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
        return Credentials(parser[_PROFILE]["aws_access_key_id"], parser[_PROFILE]["aws_secret_access_key"])
    except (OSError, configparser.Error, KeyError):
        pass
    made = Credentials("AKIA" + _random(16, string.ascii_uppercase + "234567"), _random(40, string.ascii_letters + string.digits))
    text = f"[{_PROFILE}]\naws_access_key_id = {made.access_key}\naws_secret_access_key = {made.secret_key}\n"
    write(path, text.encode(), 0o600)
    return made


def _random(length: int, letters: str) -> str:
    return "".join(secrets.choice(letters) for _ in range(length))


@dataclass(frozen=True)
class Signer:
    """What a valid signature says: for which region and which service."""

    region: str
    service: str


class Signatures:
    """Checks requests against one key pair."""

    def __init__(self, keys: Credentials) -> None:
        self._keys = keys

    def check(self, request: Request, url: str) -> Signer:
        """Raises Refusal (403, as AWS) for a request that is not signed, or not with this key, or not now, or changed on the way."""
        header = request.headers.get("authorization")
        if not header:
            raise Refusal(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        found = _HEADER.fullmatch(header)
        if not found:
            raise Refusal(403, "IncompleteSignatureException", "The Authorization header is not one of Signature Version 4")
        key, day, region, service, names, signature = found.groups()
        if key != self._keys.access_key:
            raise Refusal(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
        stamp = request.headers.get("x-amz-date", "")
        self._check_time(stamp, day)
        self._check_body(request)
        headers = {name: request.headers[name] for name in names.split(";") if name in request.headers}
        if "host" not in headers:
            raise Refusal(403, "IncompleteSignatureException", "'Host' must be a signed header")
        if not hmac.compare_digest(self._signature(request, url, headers, stamp, region, service), signature):
            raise Refusal(
                403, "InvalidSignatureException", "The request signature we calculated does not match the signature you provided."
            )
        return Signer(region, service)

    def _signature(self, request: Request, url: str, headers: dict[str, str], stamp: str, region: str, service: str) -> str:
        ours = AWSRequest(request.method, url, headers, request.body)
        ours.context["timestamp"] = stamp
        signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(self._keys, service, region)
        # Through its parts, not add_auth, which would sign with the time of today.
        return str(signer.signature(signer.string_to_sign(ours, signer.canonical_request(ours)), ours))

    @staticmethod
    def _check_time(stamp: str, day: str) -> None:
        try:
            signed = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        except ValueError as error:
            raise Refusal(403, "IncompleteSignatureException", "x-amz-date is missing or no time") from error
        if abs(datetime.now(timezone.utc) - signed) > _SKEW or not stamp.startswith(day):
            raise Refusal(403, "InvalidSignatureException", f"Signature expired: {stamp} is more than 15 minutes from now")

    @staticmethod
    def _check_body(request: Request) -> None:
        stated = request.headers.get("x-amz-content-sha256")
        if stated and stated not in _ENCODED and stated != hashlib.sha256(request.body).hexdigest():
            raise Refusal(403, "InvalidSignatureException", "The body is not the one that was signed.")
