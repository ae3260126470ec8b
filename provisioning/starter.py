"""A product to start from, in a folder of its own: the example that ships with twinroot, with a factory CA for the bench and identities."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from provisioning.config.document import shown, wrong
from provisioning.errors import StationError
from provisioning.resources import folder

EXAMPLE = "weather-station"
PRODUCT = "product.yaml"
CA_NAME = "Bench CA"

_IGNORED = """\
# What is nobody else's business, and what is made.
secrets.yaml
*.key.pem
*.claim
out/
"""
APPLICATION = "application"
# A file of that example -> where it lies in a project, if not in the same place.
_PLACES = {"github.yml": ".github/workflows/tests.yml", "gitlab.yml": ".gitlab-ci.yml"}


@dataclass(frozen=True)
class Made:
    """The product's file, and the devices that have a certificate and a key."""

    product: Path
    devices: tuple[str, ...]


def _copy_application(target: Path) -> None:
    """An application with its tests, and what runs them in two CI systems."""
    source = folder("examples") / APPLICATION
    for file in sorted(source.rglob("*")):
        name = file.relative_to(source).as_posix()
        if file.is_file() and "__pycache__" not in file.parts:
            there = target / _PLACES.get(name, name)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, there)


def make(target: Path, *, tests: bool = False) -> Made:
    """A product in the new or empty folder `target`. Raises InputError where something is there already, StationError for the disk."""
    from provisioning.config.load import load_product
    from provisioning.config.unit import choose
    from provisioning.identity.factory import authority, ensure_identity, make_ca

    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise wrong("folder-not-empty", f"{shown(target)}: is there already, expected a new or an empty folder", "Name another one.")
    try:
        target.mkdir(parents=True, exist_ok=True)
        for file in sorted((folder("examples") / EXAMPLE).iterdir()):
            if file.is_file():
                shutil.copyfile(file, target / file.name)
        (target / ".gitignore").write_text(_IGNORED, encoding="utf-8")
        if tests:
            _copy_application(target)
    except OSError as error:
        raise StationError(
            "cannot-write", f"{shown(target)}: cannot be written: {error.strerror or error}.", "Name another folder, or free some space."
        ) from None
    make_ca(CA_NAME, target / "factory")
    product = load_product(target / PRODUCT)
    ca = authority(product)
    rows = choose(product)
    for row in rows:
        ensure_identity(product, row, ca)
    return Made(target / PRODUCT, tuple(row.id for row in rows))
