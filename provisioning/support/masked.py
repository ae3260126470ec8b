"""A product or board file as it may be shown: what is known to be harmless, and the shape of everything else.

A list of what is shown, not of what is hidden: a misspelt `pasword:` is not on it. Comments are left out; so are texts in place of a key.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from provisioning.scrub import HIDDEN

PRODUCT = (
    *("product", "version", "board", "client_id", "devices", "app/main", "app/boot", "time/servers/#", "updates/key", "lab/resolve/*"),
    *(
        f"cloud/{name}"
        for name in ("provider", "region", "endpoint", "port", "phase", "return_after", "on_silence", "retired/#", "without_alpn")
    ),
    *(f"cloud/routes/#/{name}" for name in ("name", "endpoint", "port", "roots/#")),
    *(f"roots/*/{name}" for name in ("file", "sha256", "status")),
    *("identity/certificate", "identity/key"),
    *(f"identity/issue/{name}" for name in ("ca", "ca_key", "kind", "days", "chain", "keep_key", "pkcs11/module", "pkcs11/token")),
    *("scan/field", "scan/pattern"),
)
BOARD = ("*",)  # hardware facts, and paths
_MOST, _DEEPEST = 20_000, 32


class _Walk:
    """`hidden`: every value that is not shown."""

    def __init__(self, shown: tuple[str, ...]) -> None:
        self._shown = shown
        self._count = 0
        self.hidden: list[str] = []

    def value(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        self._count += 1
        if self._count > _MOST or len(path) > _DEEPEST:
            return HIDDEN
        if isinstance(node, yaml.MappingNode):
            return {self._key(key, path): self.value(value, (*path, str(key.value))) for key, value in node.value}
        if isinstance(node, yaml.SequenceNode):
            return [self.value(value, (*path, "#")) for value in node.value]
        text = str(node.value)
        if node.tag in ("!env", "!secret"):
            return f"{HIDDEN} {node.tag}"
        if any(fnmatchcase("/".join(path), pattern) and _as_deep(path, pattern) for pattern in self._shown):
            return text
        self.hidden.append(text)
        return HIDDEN if text else ""

    def _key(self, key: yaml.Node, path: tuple[str, ...]) -> str:
        """A key that nothing shown may have, and that is no block's, is as good as a value."""
        text = str(key.value)
        steps = [*path, text]
        begins = (pattern.split("/")[: len(steps)] for pattern in (*self._shown, *_BLOCKS))
        if isinstance(key, yaml.ScalarNode) and any(
            (len(parts) == len(steps) and all(map(fnmatchcase, steps, parts))) or parts == ["*"] for parts in begins
        ):
            return text
        self.hidden.append(text)
        return HIDDEN


_BLOCKS = (
    "wifi/ssid",
    "wifi/password",
    "identity/issue/env",
    "identity/issue/signer",
    "identity/issue/pkcs11/pin",
    "identity/issue/pkcs11/id",
)


def _as_deep(path: tuple[str, ...], pattern: str) -> bool:
    """fnmatch's `*` passes a slash; a pattern is for as many steps as it has, and `*` alone for all."""
    return pattern == "*" or len(path) == pattern.count("/") + 1


def masked(file: Path, shown: tuple[str, ...]) -> tuple[str, list[str]]:
    """The file as YAML with nothing but what is `shown`, and the values that are not. A file that is no YAML is not shown at all."""
    try:
        root = yaml.compose(file.read_text("utf-8-sig"), Loader=yaml.SafeLoader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        return f"# {file.name} cannot be read as YAML ({type(error).__name__}); `twinroot check` says where\n", _words(file)
    if root is None:
        return f"# {file.name} is empty\n", []
    walk = _Walk(shown)
    made = walk.value(root, ())
    return yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=140), walk.hidden


def _words(file: Path) -> list[str]:
    """Whatever may be a value in a file that cannot be read."""
    try:
        text = file.read_text("utf-8", "replace")
    except OSError:
        return []
    return [word.strip("\"'{},[]") for line in text.splitlines() for word in line.partition(":")[2].split()]


def scalars(file: Path) -> list[str]:
    """Every value of a file that is all secrets."""
    return masked(file, ())[1]
