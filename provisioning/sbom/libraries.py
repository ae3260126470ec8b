"""Which libraries are inside a MicroPython firmware for an ESP32: MicroPython's release -> ESP-IDF -> Mbed TLS and lwIP.

A row is here because it was read at the tag it names:

- MicroPython: the version that ports/esp32/README.md recommends and tools/ci.sh (1.22 to 1.26.0) or ports/esp32/lockfiles (from 1.26.1,
  the same for every chip) build with. Somebody else's build may have another; an image at hand says itself which it has, and is believed
  first.
- ESP-IDF: the commits of the submodules components/mbedtls/mbedtls and components/lwip/lwip at the tag, and the version that ESP-IDF's own
  history gives them (commits "update to version …"; "Reference official …-esp branch"; lwIP's init.h and sbom.yml at those commits).

Both libraries are Espressif's forks: their commits have fixes that the version alone does not show, so the commit is in the purl.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from provisioning.errors import InputError

# MicroPython's release -> tag of ESP-IDF. 1.20 and older list several and build for none in particular: unknown.
IDF_OF_RELEASE = {
    "1.21.0": "5.0.2",
    "1.22.0": "5.0.4",
    "1.22.1": "5.0.4",
    "1.22.2": "5.0.4",
    "1.23.0": "5.0.4",
    "1.24.0": "5.2.2",
    "1.24.1": "5.2.2",
    "1.25.0": "5.2.2",
    "1.26.0": "5.4.2",
    "1.26.1": "5.4.2",
    "1.27.0": "5.5.1",
    "1.28.0": "5.5.1",
}


class Submodule(NamedTuple):
    """A library at a tag of ESP-IDF: its version and the commit of Espressif's fork."""

    version: str
    commit: str


class Libraries(NamedTuple):
    """What a tag of ESP-IDF holds."""

    mbedtls: Submodule
    lwip: Submodule


_MBEDTLS_3_5_0 = Submodule("3.5.0", "dd91f30058dfad68d80267cc82cd8472c4aa54b5")
_MBEDTLS_3_6_0 = Submodule("3.6.0", "72aa687352a469044cbb946f3fdb261430e41ce1")
_MBEDTLS_3_6_2 = Submodule("3.6.2", "98fcfd6d2cea90d306e8fde8e5bffd6087c9cda8")
_LWIP_2_1_3 = Submodule("2.1.3", "f79221431fa9042b3572d271d687de66da7560c4")
_LWIP_2_2_0 = Submodule("2.2.0", "fa4dffdfac52587a26c1f29258376df750cf8474")

_RELEASE = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){2}(-[0-9A-Za-z.-]{1,32})?")

LIBRARIES_OF_IDF = {
    "5.0.2": Libraries(
        Submodule("3.3.0", "e39975969d548572a39875ad29abd88b23285f94"), Submodule("2.1.3", "d5e56d06658ae11292be1baea56204f7120b6fa7")
    ),
    "5.0.4": Libraries(
        Submodule("3.4.1", "727a037da6f9a62a9d3d5def5bd21a2bc9c621c6"), Submodule("2.1.3", "8dad8d3ee66840deee4acfc1601de4e396c594be")
    ),
    "5.0.5": Libraries(_MBEDTLS_3_5_0, Submodule("2.1.3", "6bf7044c0368d587f70f7083e39e0a619b4d5788")),
    "5.1.2": Libraries(_MBEDTLS_3_5_0, Submodule("2.1.3", "7896c6cad020d17a986f7e850f603e084e319328")),
    "5.2": Libraries(_MBEDTLS_3_5_0, Submodule("2.1.3", "542ba2997f6cc14fe9c3d781bf9b0d890cd70bb1")),
    "5.2.2": Libraries(_MBEDTLS_3_6_0, _LWIP_2_1_3),
    "5.3": Libraries(_MBEDTLS_3_6_0, _LWIP_2_1_3),
    "5.4": Libraries(_MBEDTLS_3_6_2, Submodule("2.2.0", "a587d929899304264d81a469dc843316d0db5e64")),
    "5.4.1": Libraries(_MBEDTLS_3_6_2, _LWIP_2_2_0),
    "5.4.2": Libraries(Submodule("3.6.3", "601990b1d81510a135da9bb0476d6ed3cb8c011b"), _LWIP_2_2_0),
    "5.5.1": Libraries(
        Submodule("3.6.4", "b5d87eaa6748b7a6fa70593178c08b4480e9b71e"), Submodule("2.2.0", "ebabd6d79c120c5d4415755aab1d908d8b5fa372")
    ),
}


def tag(text: str) -> str:
    """A version as the tables have it: "v5.4.2" -> "5.4.2"; what git adds behind a tag ("-dirty", "-12-gabc") stays, and has no row."""
    return text.removeprefix("v")


def release(text: str) -> str:
    """The version that a board says it runs, as a person has typed it: "v1.27.0" -> "1.27.0". Raises InputError for what none says."""
    version = tag(text.strip())
    if not _RELEASE.fullmatch(version):
        raise InputError(
            "bad-firmware-version",
            f"{text[:40]!r} is not a version that a board says of its MicroPython.",
            "Write it as the report of `update` and the ledger have it: 1.27.0, or 1.28.0-preview.",
        )
    return version
