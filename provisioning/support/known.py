"""The secret values that this station knows, so that they can be taken out wherever a program may have written them."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from provisioning.config.yaml_source import SECRETS_FILE
from provisioning.scrub import NAMES
from provisioning.support.masked import scalars

_KEY_FILES = 5000  # that are looked at
_KEY_BYTES = 20_000
_HARMLESS = frozenset({"true", "false", "null", "none", "yes", "no"})


def of_environment() -> Iterator[str]:
    """Values of variables whose name says so, and the passwords of URLs in all others."""
    for name, value in os.environ.items():
        if NAMES.search(name):
            yield value
            yield from value.split()
        if "://" in value and "@" in value:
            yield value.partition("://")[2].rpartition("@")[0].partition(":")[2]


def of_product(product: Path, hidden: list[str], devices: Path | None) -> Iterator[str]:
    """What a product file hides, its file of secrets, columns of its CSV, and the keys that lie beside it."""
    yield from (text for text in hidden if text.lower() not in _HARMLESS)
    if (product.parent / SECRETS_FILE).is_file():
        yield from scalars(product.parent / SECRETS_FILE)
    if devices is not None:
        yield from of_list(devices)
    yield from of_keys(product.parent)


def of_list(devices: Path) -> Iterator[str]:
    """Values of the columns whose name says that they are secret."""
    try:
        with devices.open(encoding="utf-8-sig", newline="", errors="replace") as file:
            for row in csv.DictReader(file):
                yield from (value for name, value in row.items() if name and isinstance(value, str) and NAMES.search(name))
    except (OSError, csv.Error):
        return


def of_keys(folder: Path) -> Iterator[str]:
    """The lines of private keys in the folder and below it."""
    for number, file in enumerate(folder.rglob("*")):
        if number > _KEY_FILES:
            return
        try:
            if file.suffix not in (".pem", ".key") or not file.is_file() or file.stat().st_size > _KEY_BYTES:
                continue
            text = file.read_text("ascii", "replace")
        except OSError:
            continue
        if "PRIVATE KEY" in text:
            yield from (line.strip() for line in text.splitlines() if not line.startswith("-----"))
