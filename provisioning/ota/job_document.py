"""What carries a signed set to devices through AWS IoT Jobs, as firmware/twinroot/jobs.py reads it: the job document, and the chunks
that it sends devices to.

Chunk (firmware/twinroot/ota.py, Topic): the offset in decimal, a colon, bytes of the container.
"""

from __future__ import annotations

import json
import re
import struct
from base64 import b64encode
from pathlib import Path
from typing import Any

from provisioning.errors import InputError
from provisioning.ota.signed_set import MAGIC, MANIFEST_LIMIT, SIGNATURE_LIMIT
from provisioning.parsed import from_json

LIMIT = 32768  # bytes of a job document ("AWS IoT Device Management endpoints and quotas": job document size)
PART = 3000  # bytes of the container in one string of a document; a multiple of 3, so that no part but the last is padded
CHUNK = 4096  # bytes of the container in one message: with the head within the 5 KB that AWS IoT meters as one
FILE = 1  # of a stream: the one that is the container
_STREAM = re.compile(r"[a-zA-Z0-9_-]{1,128}")  # CreateStream
TOPIC_LIMIT = 256  # bytes of a topic's name, and at most 7 slashes (same page); "/get" is appended by the device


class TooLarge(InputError):
    """The container does not fit into a job document."""


def manifest_of(container: bytes) -> dict[str, Any]:
    """The manifest of a signed set, its signature not checked: devices do that. Raises InputError."""
    try:
        if not container.startswith(MAGIC):
            raise ValueError
        at = len(MAGIC)
        signature = struct.unpack_from("!H", container, at)[0]
        at += 2 + signature
        size = struct.unpack_from("!I", container, at)[0]
        read: dict[str, Any] = from_json(container[at + 4 : at + 4 + size])
        whole = at + 4 + size + sum(row[1] for row in read["files"])
        if signature > SIGNATURE_LIMIT or size > MANIFEST_LIMIT or len(container) != whole or not isinstance(read["version"], int):
            raise ValueError
    except (ValueError, KeyError, TypeError, IndexError, struct.error):
        raise InputError(
            "no-signed-set", "The file is not a signed set, or not all of one", "twinroot sign set DIR --key KEY --out FILE"
        ) from None
    return read


def document(container: bytes, topic: str | None = None, *, stream: str | None = None) -> bytes:
    """The job document: it sends devices to a `topic`, or to an AWS IoT `stream` whose file 1 is the container; with neither it holds the
    container. Raises InputError."""
    job: dict[str, Any] = {"version": manifest_of(container)["version"]}
    if stream is not None:
        if topic is not None or not _STREAM.fullmatch(stream):
            raise InputError("bad-stream", f"{stream[:40]!r} is not a stream, or there is a topic too.", "Give one of them.")
        job |= {"stream": stream, "file": FILE, "size": len(container)}
    elif topic is None:
        job["parts"] = [b64encode(container[i : i + PART]).decode() for i in range(0, len(container), PART)]
    elif not re.fullmatch(r"[^#+\0$][^#+\0]*", topic) or len(topic.encode()) > TOPIC_LIMIT - 4 or topic.count("/") > 6:
        raise InputError("bad-topic", f"{topic!r} is no topic to publish on", "For example --topic updates/2")
    else:
        job["topic"] = topic
    made = json.dumps({"twinroot": job}, separators=(",", ":")).encode()
    if len(made) > LIMIT:
        raise TooLarge(
            "job-too-large",
            f"The document would have {len(made):,} bytes, and AWS IoT takes {LIMIT:,}.",
            "Send it as a stream (`twinroot aws job create` with --bucket and --role-arn), or in chunks with --topic.",
        )
    return made


def chunks(container: bytes) -> dict[str, bytes]:
    """{file name, in the order to publish: payload of one message}."""
    return {f"{at:08d}.bin": b"%d:" % at + container[at : at + CHUNK] for at in range(0, len(container), CHUNK)}


def write(folder: Path, container: bytes, topic: str | None) -> list[Path]:
    """job.json, and with a topic chunks/*.bin, in a folder that is new. Nothing is written when something is wrong."""
    made = {"job.json": document(container, topic)}
    if topic is not None:
        made |= {f"chunks/{name}": payload for name, payload in chunks(container).items()}
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise InputError("folder-exists", f"{folder} exists", "Name a new folder: chunks of two sets must not mix.") from None
    paths = [folder / name for name in made]
    for path, content in zip(paths, made.values(), strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return paths
