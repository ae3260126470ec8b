"""What is put on a board, part by part, before it gets the form of a standard. Nothing secret is among it, nor a hash of what is: no key,
and not set.json, which may hold a Wi-Fi password that somebody could try against its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from provisioning import __version__
from provisioning.bundle import compile as compiler
from provisioning.bundle.bundle import CERTIFICATE_FILE, MAIN_FILE, PACKAGE_HOME, Interpreter, in_set, runner, useless
from provisioning.config.board_type import BoardType
from provisioning.config.device import Device
from provisioning.config.product import Product
from provisioning.config.unit import files
from provisioning.flash import app_description, downloads, firmware
from provisioning.identity.pair import load_certificate
from provisioning.pem import read
from provisioning.sbom.libraries import IDF_OF_RELEASE, LIBRARIES_OF_IDF, Submodule, tag
from provisioning.trust import der

DEVICE, FIRMWARE, FRAMEWORK, LIBRARY, PACKAGE, FILE, CERTIFICATE, TOOL = (
    "device",
    "firmware",
    "framework",
    "library",
    "package",
    "file",
    "certificate",
    "tool",
)

BY_BOARD_FILE = "board file"
BY_IMAGE = "firmware image"
BY_BOARD = "the board"
BY_RELEASE = "what MicroPython's release is built with"
BY_CONTENT = "content"
UNKNOWN = "unknown"

_ESPRESSIF = "Espressif Systems (Shanghai) CO LTD"


@dataclass(frozen=True)
class Certificate:
    """What a certificate says; names as RFC 4514 text, times UTC, `fingerprint`: SHA-256 of the DER, lower-case hex."""

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    fingerprint: str


@dataclass(frozen=True)
class Part:
    """One part. `version`: None where nobody here knows it; `known_by`: who says so. `path`: on the device, for files. Hashes are
    lower-case hex of the file's bytes, or of the image. `repository`: owner/name on GitHub, `revision`: tag or commit there."""

    ref: str
    kind: str
    name: str
    version: str | None = None
    known_by: str = BY_CONTENT
    sha256: str | None = None
    sha1: str | None = None
    path: str | None = None
    license: str | None = None
    supplier: str | None = None
    repository: str | None = None
    revision: str | None = None
    cpe_name: str | None = None
    note: str = ""
    certificate: Certificate | None = None
    parts: tuple[Part, ...] = ()

    @property
    def purl(self) -> str | None:
        """Package URL; None where the part is in no repository, or its version is unknown."""
        return f"pkg:github/{self.repository}@{quote(self.revision)}" if self.repository and self.revision else None

    @property
    def cpe(self) -> str | None:
        """CPE 2.3, as vulnerability databases name the part."""
        if self.cpe_name is None or self.version is None:
            return None
        escaped = "".join(c if c.isalnum() or c in "._" else f"\\{c}" for c in self.version)
        return f"cpe:2.3:a:{self.cpe_name}:{escaped}:*:*:*:*:*:*:*"

    def every(self) -> Iterator[Part]:
        """The part and those inside of it, outermost first."""
        yield self
        for part in self.parts:
            yield from part.every()


@dataclass(frozen=True)
class Inventory:
    """A product, or one device of it. `notes`: what people should know about it, a sentence each."""

    product: str
    version: int
    device: str | None
    board: str
    chip: str
    firmware: Part
    package: Part
    loader: Part
    application: tuple[Part, ...]
    certificates: tuple[Part, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def tool(self) -> Part:
        """What made it."""
        return Part("toolkit", TOOL, "twinroot", __version__, license="MIT")

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is on the board, outermost parts."""
        return (self.firmware, self.package, self.loader, *self.application, *self.certificates)

    def versioned(self) -> list[Part]:
        """Parts that an advisory can be about: those that have versions."""
        every = [part for outer in (self.tool, *self.parts) for part in outer.every()]
        return [part for part in every if part.kind in (FIRMWARE, FRAMEWORK, LIBRARY, PACKAGE, TOOL)]


def inventory(
    product: Product, device: Device | None = None, certificate: bytes | None = None, image: bytes | None = None, running: str | None = None
) -> Inventory:
    """What `product` puts on a board; with `device` its certificate, too. The firmware is the one that the board file names: no board is
    asked and nothing is downloaded. `certificate` (PEM), `image`: what the caller has read already. `running`: the version that a board
    has said it runs, instead; which image that was nobody knows, so none is looked at. Raises InputError: files that are missing or not
    what they should be."""
    made = compiler.package(Interpreter.default().mpy, without=useless(product))
    home = f"{PACKAGE_HOME}/{made.digest}"
    modules = tuple(_file(f"package/{name}", name, content, f"{home}/{name}") for name, content in sorted(made.modules.items()))
    package = Part(
        "package",
        PACKAGE,
        "twinroot connection package",
        __version__,
        sha256=_sha256(made.content),
        path=home,
        license="MIT",
        note=f"One file; its name is {made.digest}.",
        parts=modules,
    )
    certificates = [_certificate(f"root/{name}", name, root.der, root.pem, f"{name}.pem") for name, root in product.roots.items()]
    if device is not None:
        pem = certificate if certificate is not None else load_certificate(files(product, device)[0])
        leaf, *chain = read.certificates(pem)
        certificates.append(_certificate("certificate/device", "device certificate", leaf, pem, CERTIFICATE_FILE))
        for number, each in enumerate(chain, 1):
            certificates.append(_certificate(f"certificate/chain-{number}", f"issuer {number}", each, pem, CERTIFICATE_FILE))
    if running is None:
        found, notes = _firmware(product.board, image if image is not None else _image(product.board))
    else:
        found, notes = _running(product.board, running)
    return Inventory(
        product=product.name,
        version=product.version,
        device=device.id if device else None,
        board=product.board.name,
        chip=product.board.chip,
        firmware=found,
        package=package,
        loader=_file("loader", compiler.LOADER, made.loader, f"{PACKAGE_HOME}/{compiler.LOADER}"),
        application=tuple(_application(product)),
        certificates=tuple(certificates),
        notes=notes,
    )


def _application(product: Product) -> Iterator[Part]:
    for name, path in sorted(product.app.items()):
        ours = name == MAIN_FILE and in_set(product)
        yield _file(f"application/{name}", name, path.read_bytes(), f"/trust/1/{name}" if ours else f"/{name}")
        if ours:
            yield _file("application/runner", "runner", runner(), f"/{name}")


def _file(ref: str, name: str, content: bytes, path: str) -> Part:
    return Part(ref, FILE, name, path=path, sha256=_sha256(content), sha1=_sha1(content))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sha1(content: bytes) -> str:
    """SPDX 2.3 wants it of each file, as a name and not for security."""
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _certificate(ref: str, name: str, content: bytes, pem: bytes, file: str) -> Part:
    found = der.certificate(content)
    facts = Certificate(found.subject, found.issuer, found.not_before, found.not_after, _sha256(content))
    return Part(ref, CERTIFICATE, name, path=f"/trust/1/{file}", sha256=_sha256(pem), sha1=_sha1(pem), certificate=facts)


def _image(board: BoardType) -> bytes | None:
    """The firmware image, where it is on this computer."""
    named = board.firmware
    if named.file and Path(named.file).is_file():
        return firmware.load(board).content
    if named.url and named.sha256:
        cached = downloads.place(named.sha256)
        content = cached.read_bytes() if cached.is_file() else b""
        if _sha256(content) == named.sha256.lower():
            return content
    return None


def _firmware(board: BoardType, content: bytes | None) -> tuple[Part, tuple[str, ...]]:
    """The firmware that the board file names with the libraries inside of it, and what is to be said of them."""
    said = app_description.find(content) if content else None
    version = board.firmware.version
    notes = []
    if version is None:
        notes.append(f"The board '{board.name}' names no firmware version, so what is inside of the firmware is unknown.")
    if said and version and said.project == "micropython" and tag(said.version) != version:
        notes.append(f"The firmware image says that it is MicroPython {said.version}, the board '{board.name}' says {version}.")
    idf = tag(said.idf) if said and said.idf else None
    sha256 = board.firmware.sha256.lower() if board.firmware.sha256 else None
    part, more = _with_libraries(board, version, BY_BOARD_FILE, sha256, idf)
    return part, (*notes, *more)


def _running(board: BoardType, version: str) -> tuple[Part, tuple[str, ...]]:
    """The firmware that a board has said it runs."""
    return _with_libraries(board, version, BY_BOARD, None, None)


def _with_libraries(
    board: BoardType, version: str | None, known_by: str, sha256: str | None, idf: str | None
) -> tuple[Part, tuple[str, ...]]:
    """The firmware with the libraries inside of it; `idf`: the ESP-IDF that its image names, None for the release's own."""
    notes = []
    idf, idf_by = (idf, BY_IMAGE) if idf else (IDF_OF_RELEASE.get(version or ""), BY_RELEASE)
    libraries = LIBRARIES_OF_IDF.get(idf or "")
    if idf and not libraries:
        notes.append(f"Which Mbed TLS and lwIP are in ESP-IDF {idf} is unknown here.")
    elif version and not idf:
        notes.append(f"Which ESP-IDF MicroPython {version} was built with is unknown here; a firmware image at hand says it.")
    inside = (
        Part(
            "firmware/esp-idf",
            FRAMEWORK,
            "ESP-IDF",
            idf,
            idf_by if idf else UNKNOWN,
            license="Apache-2.0",
            supplier=_ESPRESSIF,
            repository="espressif/esp-idf",
            revision=f"v{idf}" if libraries else None,
            cpe_name="espressif:esp-idf",
        ),
        _submodule("mbedtls", "Mbed TLS", "Apache-2.0", "arm:mbed_tls", "espressif/mbedtls", libraries and libraries.mbedtls),
        _submodule("lwip", "lwIP", "BSD-3-Clause", "lwip_project:lwip", "espressif/esp-lwip", libraries and libraries.lwip),
    )
    part = Part(
        "firmware",
        FIRMWARE,
        "MicroPython",
        version,
        known_by if version else UNKNOWN,
        sha256=sha256,
        license="MIT",
        repository="micropython/micropython",
        revision=f"v{version}" if version else None,
        cpe_name="micropython:micropython",
        note=f"For {board.chip}.",
        parts=inside,
    )
    return part, tuple(notes)


def _submodule(ref: str, name: str, license_: str, cpe: str, repository: str, known: Submodule | None) -> Part:
    return Part(
        f"firmware/{ref}",
        LIBRARY,
        name,
        known.version if known else None,
        "submodule of ESP-IDF" if known else UNKNOWN,
        license=license_,
        supplier=_ESPRESSIF,
        repository=repository,
        revision=known.commit if known else None,
        cpe_name=cpe,
        note="Espressif's fork.",
    )
