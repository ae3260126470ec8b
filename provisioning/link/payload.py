"""What goes to a device, as the transports see it: plain mappings, in the one order that host and device agree on."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property

from provisioning.pem.read import encode

SET_FILE = "set.json"
_HOME = "/lib/twinroot/"


class Item:
    """One file. `name` as set.json has it: relative to the set's folder, or an absolute path.

    `kept`: the SHA-256 of a file that only the board has, as the device's key; there is no content then, and nothing to be sent.
    """

    def __init__(self, name: str, content: bytes, kept: str = "") -> None:
        self.name = name
        self.content = content
        self.kept = kept

    @cached_property
    def sha256(self) -> str:
        return self.kept or hashlib.sha256(self.content).hexdigest()

    def path(self, number: int) -> str:
        return self.name if self.name.startswith("/") else f"/trust/{number}/{self.name}"


class Payload:
    """`trust`: file name in the set's folder -> content, set.json among them. `lib`: absolute path -> content."""

    def __init__(self, trust: Mapping[str, bytes], lib: Mapping[str, bytes]) -> None:
        self.trust = trust
        self.lib = lib

    @property
    def set_json(self) -> bytes:
        return self.trust[SET_FILE]

    @cached_property
    def set_sha256(self) -> str:
        return hashlib.sha256(self.set_json).hexdigest()

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Files of set.json by name, then the files that it does not name (the loader, the product's app). Not set.json itself."""
        content = {**self.trust, **self.lib}
        named = json.loads(self.set_json)["files"]
        rest = sorted(set(content) - set(named) - {SET_FILE})
        return tuple(Item(name, content[name]) if name in content else Item(name, b"", named[name]) for name in (*sorted(named), *rest))

    @cached_property
    def certificate_sha256(self) -> str:
        """Of the device's certificate, as a file."""
        info = json.loads(self.set_json)
        return str(info["files"][info["cert"]])

    def lost(self, send: Iterable[int]) -> str:
        """Of the items that have to be sent, the name of one that only the board had; an empty text where there is none."""
        return next((self.items[index].name for index in send if self.items[index].kept), "")

    @cached_property
    def rest(self) -> tuple[Item, ...]:
        """The items that set.json does not name."""
        named = json.loads(self.set_json)["files"]
        return tuple(item for item in self.items if item.name not in named)

    @cached_property
    def blank_set_json(self) -> bytes:
        """set.json with "@" for every hash, which a board fills in that gets all files; set.json itself when "@" stands in it already."""
        if b"@" in self.set_json:
            return self.set_json
        text = self.set_json
        for sha in json.loads(text)["files"].values():
            text = text.replace(b'"%s"' % sha.encode(), b'"@"')
        return text

    @property
    def keeps_home(self) -> bool:
        """Whether every file lies in our own folders, so that nothing on a board without them can be in its way."""
        return all(not item.name.startswith("/") or item.name.startswith(_HOME) for item in self.items)

    def hashes(self, number: int) -> dict[str, str]:
        """The report's `files`: path on the device -> SHA-256."""
        files = {item.path(number): item.sha256 for item in self.items}
        return {**files, f"/trust/{number}/{SET_FILE}": self.set_sha256}


def pem_parts(content: bytes) -> tuple[bytes, bytes] | None:
    """Label and DER of a PEM file that a device can write again byte for byte from them (firmware/link/store.py); None for anything
    else."""
    lines = content.split(b"\n")
    head = lines[0]
    if not (head.startswith(b"-----BEGIN ") and head.endswith(b"-----")):
        return None
    label = head[11:-5]
    try:
        der = base64.b64decode(b"".join(lines[1:-2]), validate=True)
    except binascii.Error:
        return None
    return (label, der) if 0 < len(label) < 64 and encode(label.decode("latin-1"), der) == content else None
