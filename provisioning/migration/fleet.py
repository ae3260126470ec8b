"""What the health of a fleet proves: which devices have connected by an ATS root, and which never did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning.config.product import Product
from provisioning.config.text_file import read_text
from provisioning.errors import InputError
from provisioning.parsed import from_json
from provisioning.trust.endpoint import classify
from provisioning.trust.providers.aws import ATS_ROOTS


@dataclass(frozen=True)
class Fleet:
    """What the health of many devices says: how many connected by which root, and which never reached an ATS root."""

    devices: int
    by_root: Mapping[str, int]  # root -> devices that connected by it at least once
    last_route: Mapping[str, int]  # route -> devices that used it last
    behind: tuple[str, ...]  # devices without a connection by any of the wanted roots
    failing: Mapping[str, int]  # "route: error" -> devices

    @property
    def lack(self) -> str:
        """What is missing to know that every device reaches an ATS root; an empty text where nothing is."""
        if not self.devices:
            return "nothing shows that any device has connected by an ATS root"
        if not self.behind:
            return ""
        return f"{len(self.behind)} of {self.devices} devices have never connected by an ATS root ({', '.join(self.behind[:3])}…)"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _rows(value: Any) -> dict[str, dict[str, Any]]:
    """Name -> counters, as health() has them of roots and routes. Raises TypeError, ValueError for anything else."""
    found = dict(value)
    if not all(isinstance(name, str) and isinstance(row, dict) for name, row in found.items()):
        raise TypeError("not counters by name")
    return found


def add_up(reports: Iterable[Mapping[str, Any]], wanted: Iterable[str]) -> Fleet:
    """Add up health reports: {"device": id, "health": {...}} or health itself with a "device". Raises InputError for another shape."""
    by_root: dict[str, int] = {}
    last: dict[str, int] = {}
    failing: dict[str, int] = {}
    behind = []
    latest: dict[str, Mapping[str, Any]] = {}
    for number, report in enumerate(reports, 1):
        try:
            health = report.get("health", report)
            latest[str(report["device"])] = {
                "last": None if health["last"] is None else _text(health["last"]),
                "roots": _rows(health["roots"]),
                "routes": _rows(health["routes"]),
            }
        except (AttributeError, KeyError, TypeError, ValueError) as e:
            raise InputError(
                "bad-health",
                f"Health report {number} is none: " + (f"{e.args[0]!r} is missing." if isinstance(e, KeyError) else "another shape."),
                'A report is {"device": "ws-0001", "health": …}, with what twinroot.health() returned.',
            ) from e
    wanted = set(wanted)
    for device, health in latest.items():
        good = {name for name, row in health["roots"].items() if row.get("good")}
        for name in good:
            by_root[name] = by_root.get(name, 0) + 1
        if not good & wanted:
            behind.append(device)
        if health["last"]:
            last[health["last"]] = last.get(health["last"], 0) + 1
        for route, row in health["routes"].items():
            if row.get("err"):
                what = f"{route}: {row['err']}"
                failing[what] = failing.get(what, 0) + 1
    return Fleet(len(latest), dict(sorted(by_root.items())), dict(sorted(last.items())), tuple(behind), dict(sorted(failing.items())))


def of_files(files: Iterable[Path], product: Product) -> Fleet:
    """The fleet of `product` by its health reports, one JSON object a line. Raises InputError."""
    return add_up((row for file in files for row in _reports(file)), ats_roots(product))


def ats_roots(product: Product) -> set[str]:
    """Roots by which a device reaches ATS. A lab's have other names: what the ATS routes name counts."""
    return {*ATS_ROOTS, *(name for route in product.routes if classify(route.host).cls == "ats" for name in route.roots)}


def _reports(file: Path) -> list[Any]:
    try:
        return [from_json(line) for line in read_text(file).splitlines() if line.strip()]
    except ValueError as e:
        raise InputError(
            "bad-health", f"{file} is not one JSON object a line.", "Collect what twinroot.health() returned, one line a device."
        ) from e
