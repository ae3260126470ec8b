"""The connection package as one file, as firmware/twinroot/__init__.py reads it: an index, then the modules.

    2 bytes   size of the index, big-endian
    index     for each module: NUL, file name, NUL, offset in the file (3 bytes, big-endian), size (3 bytes, big-endian), the first 8 bytes
              of the SHA-256 of the module
    modules   .mpy files, or sources, one after the other

The first 12 hex digits of the SHA-256 of the index are the package's name: the index vouches for each module, the name for the index.
One file instead of one for each module: every file costs a device some 30 flash reads to open, and a block of 4 KB. Loaders of the first
form know packages only as folders of modules: in_folder().
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

_ROW = 14  # bytes of a row behind the module's name


def _marked(name: str) -> bytes:
    return b"\0" + name.encode() + b"\0"


def pack(modules: Mapping[str, bytes]) -> tuple[str, bytes]:
    """(name, content) of the package with these modules: file name -> content. A pure function of them, whatever their order."""
    names = sorted(modules)
    size = sum(len(_marked(name)) + _ROW for name in names)
    offset = 2 + size
    index = b""
    for name in names:
        content = modules[name]
        index += _marked(name) + offset.to_bytes(3, "big") + len(content).to_bytes(3, "big") + hashlib.sha256(content).digest()[:8]
        offset += len(content)
    if any(index.count(_marked(name)) != 1 for name in names):
        raise ValueError("a hash in the index looks like a module's name: change that module by a byte")
    digest = hashlib.sha256(index).hexdigest()[:12]
    return digest, size.to_bytes(2, "big") + index + b"".join(modules[name] for name in names)


def unpack(content: bytes) -> dict[str, bytes]:
    """File name -> content of a package's modules. ValueError when it is not what pack() made."""
    size = int.from_bytes(content[:2], "big")
    index = content[2 : 2 + size]
    modules: dict[str, bytes] = {}
    at = 0
    while at < len(index):
        end = index.find(b"\0", at + 1)
        row = index[end + 1 : end + 1 + _ROW]
        if index[at] or end < 0 or len(row) < _ROW:
            raise ValueError("no index of a package")
        offset, length = int.from_bytes(row[:3], "big"), int.from_bytes(row[3:6], "big")
        module = content[offset : offset + length]
        if hashlib.sha256(module).digest()[:8] != row[6:]:
            raise ValueError(f"{index[at + 1 : end].decode()} is damaged")
        modules[index[at + 1 : end].decode()] = module
        at = end + 1 + _ROW
    return modules


def in_folder(info: Mapping[str, Any], files: Mapping[str, bytes]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """(set.json, files) with the package as a folder of modules, as the loader of the first form wants it. `info`: a rendered set.json;
    `files`: name as it has it -> content, the device's identity left out."""
    home = "/lib/twinroot/"
    place = home + info["package"]
    modules = unpack(files[place])
    lines = "".join(f"{name} {hashlib.sha256(content).hexdigest()}\n" for name, content in sorted(modules.items()))
    digest = hashlib.sha256(lines.encode()).hexdigest()[:12]
    code = {f"{home}{digest}/{name}": content for name, content in modules.items()}
    hashes = {name: sha for name, sha in info["files"].items() if name != place}
    hashes |= {name: hashlib.sha256(content).hexdigest() for name, content in code.items()}
    rest = {name: content for name, content in files.items() if name != place}
    return {**info, "package": digest, "files": hashes}, {**rest, **code}
