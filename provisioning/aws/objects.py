"""Files in the user's own S3 bucket, named by what they hold: the same bytes are put there once."""

from __future__ import annotations

import base64
import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from provisioning.aws.iot_api import Aws, Denied, Exists, NotFound
from provisioning.errors import InputError

PREFIX = "twinroot/"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class Object:
    """`version`: where the bucket has versions, which one; None elsewhere."""

    bucket: str
    key: str
    version: str | None

    @property
    def location(self) -> dict[str, str]:
        """As AWS IoT takes an s3Location."""
        return {"bucket": self.bucket, "key": self.key} | ({"version": self.version} if self.version else {})


def put(aws: Aws, bucket: str, content: bytes, suffix: str, kind: str = "application/octet-stream") -> Object:
    """The object with these bytes, which is put there when it is not. `suffix` ends its key (".bin").

    S3 compares the SHA-256 while it receives them, and never overwrites. Raises InputError, StationError.
    """
    if not _BUCKET.fullmatch(bucket):
        raise InputError("no-bucket", f"{bucket[:70]!r} cannot be the name of a bucket.", "Correct --bucket.")
    digest = hashlib.sha256(content)
    key = f"{PREFIX}{digest.hexdigest()}{suffix}"
    checksum = base64.b64encode(digest.digest()).decode()
    found = _found(aws, bucket, key, len(content), checksum)
    if found is None:
        with suppress(Exists):  # another computer was faster, or an answer was lost and the request repeated
            found = aws.call(
                "put_object",
                service="s3",
                Bucket=bucket,
                Key=key,
                Body=content,
                ContentType=kind,
                ChecksumSHA256=checksum,
                IfNoneMatch="*",
            )
    if found is None:
        found = _found(aws, bucket, key, len(content), checksum)
    return Object(bucket, key, found.get("VersionId") if found else None)


def _found(aws: Aws, bucket: str, key: str, size: int, checksum: str) -> dict[str, Any] | None:
    """Raises InputError when the object there is not these bytes: somebody else wrote it."""
    try:
        found = aws.call("head_object", service="s3", Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except (NotFound, Denied):  # who may not list is not told that it is not there; the write says whether that was all
        return None
    if found.get("ContentLength") != size or found.get("ChecksumSHA256", checksum) != checksum:
        raise InputError(
            "exists-differently", f"{key} in {bucket} is not what its name says.", "Delete it, and find out who writes into this bucket."
        )
    return found
