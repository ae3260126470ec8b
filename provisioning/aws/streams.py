"""A signed set that is larger than a job document, as an AWS IoT stream: the container lies in the user's S3 bucket, and devices ask for
blocks of it over MQTT."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from provisioning.aws import objects
from provisioning.aws.iot_api import Aws, Exists, NotFound
from provisioning.aws.roles import role
from provisioning.errors import InputError
from provisioning.ota.job_document import FILE, manifest_of

SIZE_LIMIT = 24 * 1024 * 1024  # bytes of a file in a stream


def name_of(container: bytes) -> str:
    """The stream of a signed set: product, version, and the begin of its hash, so that two sets never share one."""
    manifest = manifest_of(container)
    product = re.sub(r"[^a-zA-Z0-9_-]+", "-", str(manifest["product"]))[:64]
    return f"{product}-{manifest['version']}-{hashlib.sha256(container).hexdigest()[:12]}"


def create(aws: Aws, container: bytes, bucket: str, role_arn: str) -> str:
    """The id of a stream with the signed set as its file 1, made with its object in S3 when they are not there. Safe to repeat.

    `role_arn`: a role that AWS IoT (iot.amazonaws.com) may take, and that may read from the bucket (s3:GetObject). Raises InputError for
    a stream of this name with another file or role, StationError.
    """
    role(role_arn)
    if len(container) > SIZE_LIMIT:
        raise InputError(
            "set-too-large", f"The set has {len(container):,} bytes, and a file of a stream {SIZE_LIMIT:,}.", "Make it smaller."
        )
    name = name_of(container)
    files: list[dict[str, Any]] = [{"fileId": FILE, "s3Location": objects.put(aws, bucket, container, ".bin").location}]
    if not _is_there(aws, name, files, role_arn):
        try:
            aws.call("create_stream", streamId=name, description=f"twinroot {name}", files=files, roleArn=role_arn)
        except Exists:
            if not _is_there(aws, name, files, role_arn):
                raise
    return name


def _is_there(aws: Aws, name: str, files: list[dict[str, Any]], role_arn: str) -> bool:
    try:
        found = aws.call("describe_stream", streamId=name)["streamInfo"]
    except NotFound:
        return False
    same = _without_versions(found["files"]) == _without_versions(files)  # the key is the hash: every version is the same
    if not same or found["roleArn"] != role_arn:
        raise InputError(
            "exists-differently",
            f"There is a stream {name} already, with another {'role' if same else 'file'}.",
            f"Delete it: aws iot delete-stream --stream-id {name}",
        )
    return True


def _without_versions(files: list[dict[str, Any]]) -> list[tuple[int, str, str]]:
    return [(f["fileId"], f["s3Location"]["bucket"], f["s3Location"]["key"]) for f in files]
