"""Advisories in the OSV format (ossf.github.io/osv-schema) against what is on a board: from a file, for nobody is asked.

A file holds one advisory, a list of them, or what OSV's interface answers, {"vulns": […]}. An advisory is about a part when the name of its
package is the part's: case and punctuation do not matter, nor does the owner in front ("Mbed-TLS/mbedtls" and "mbed_tls" are "Mbed TLS").
Versions of distributions and of other languages' registries are versions of something else, and are not compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning.errors import FileMissing, InputError
from provisioning.parsed import from_json
from provisioning.sbom.parts import PACKAGE, TOOL, Part
from provisioning.sbom.versions import Key, key
from provisioning.untrusted_text import one_line

_ALIASES = {"esplwip": "lwip", "twinrootconnectionpackage": "twinroot"}

_ELSEWHERE = frozenset(
    {
        *(
            "AlmaLinux",
            "Alpaquita",
            "Alpine",
            "Android",
            "BellSoft Hardened Containers",
            "Chainguard",
            "Debian",
            "Echo",
            "Mageia",
            "MinimOS",
        ),
        *("Photon OS", "Red Hat", "Rocky Linux", "SUSE", "Ubuntu", "Wolfi", "openEuler", "openSUSE"),
        *("Bioconductor", "CRAN", "Go", "Hackage", "Hex", "Julia", "Maven", "NuGet", "Packagist", "Pub", "PyPI", "RubyGems", "SwiftURL"),
        *("crates", "npm"),
    }
)
_TOOLS_OWN = "PyPI"

_EVENTS = ("introduced", "fixed", "last_affected", "limit")


@dataclass(frozen=True)
class Finding:
    """An advisory that is, or may be, about a part. `part`, `kind`: empty where it names none. `fixed`: versions that have the correction;
    `undecided`: why it cannot be said."""

    id: str
    aliases: tuple[str, ...]
    summary: str
    part: str
    version: str | None
    fixed: tuple[str, ...]
    undecided: str = ""
    kind: str = ""

    def __str__(self) -> str:
        names = " ".join([self.id, *(f"({alias})" for alias in self.aliases)])
        about = f"{self.part} {self.version or '(version unknown)'}: {names}" if self.part else names
        about += f": {self.summary}" if self.summary else ""
        about += f"; fixed in {', '.join(self.fixed)}" if self.fixed else ""
        return about + (f"; undecided: {self.undecided}" if self.undecided else "")


_KINDS: dict[type, str] = {dict: "a table", list: "a list", str: "a text"}


class _Malformed(Exception):
    """Where in an advisory, and what is expected there."""


def load(file: Path) -> list[dict[str, Any]]:
    """The advisories of a file, each checked as far as matching reads it. Raises InputError with file, advisory and key."""
    try:
        value = from_json(file.read_bytes())
    except FileNotFoundError:
        raise FileMissing("file-missing", f"There is no file {file}.", "Give a file of advisories in the OSV format.") from None
    except OSError as error:
        raise InputError("file-unreadable", f"{file} cannot be read: {error.strerror}.", "Check its permissions.") from None
    except ValueError as error:
        raise _bad(file, f"it is not JSON ({error})") from None
    if isinstance(value, dict):
        value = value.get("vulns", [value])
    if not isinstance(value, list):
        raise _bad(file, "expected an advisory, or a list of them")
    for number, each in enumerate(value, 1):
        try:
            _check(each)
        except _Malformed as problem:
            name = each.get("id") if isinstance(each, dict) and isinstance(each.get("id"), str) else None
            raise _bad(file, f"advisory {number}{f' ({name[:64]})' if name else ''}: {problem}") from None
    return value


def _bad(file: Path, problem: str) -> InputError:
    return InputError(
        "bad-advisories", f"{file} is not a list of advisories in the OSV format: {problem}.", "Export it again, or correct what is named."
    )


def _wanted(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        raise _Malformed(f"'{what}' is {'not there' if value is None else 'of another type'}, expected {_KINDS[kind]}")
    return value


def _optional(table: dict[str, Any], name: str, kind: type, where: str = "") -> Any:
    value = table.get(name)
    return kind() if value is None else _wanted(value, kind, f"{where}{name}")


def _check(advisory: Any) -> None:
    _wanted(advisory, dict, "the advisory")
    if not _wanted(advisory.get("id"), str, "id"):
        raise _Malformed("'id' is empty, expected a text")
    _optional(advisory, "summary", str)
    _optional(advisory, "withdrawn", str)
    for alias in _optional(advisory, "aliases", list):
        _wanted(alias, str, "aliases")
    for number, affected in enumerate(_optional(advisory, "affected", list)):
        where = f"affected[{number}]."
        package = _optional(_wanted(affected, dict, where[:-1]), "package", dict, where)
        for name in ("name", "ecosystem", "purl"):
            _optional(package, name, str, f"{where}package.")
        for version in _optional(affected, "versions", list, where):
            _wanted(version, str, f"{where}versions")
        for place, each in enumerate(_optional(affected, "ranges", list, where)):
            inner = f"{where}ranges[{place}]."
            if _wanted(_wanted(each, dict, inner[:-1]).get("type"), str, f"{inner}type") not in ("SEMVER", "ECOSYSTEM", "GIT"):
                raise _Malformed(f"'{inner}type' is {one_line(each['type'])[:40]!r}, expected SEMVER, ECOSYSTEM or GIT")
            _optional(each, "repo", str, inner)
            events = _wanted(each.get("events"), list, f"{inner}events")
            for event in events:
                _wanted(event, dict, f"{inner}events")
                if len(event) != 1 or next(iter(event)) not in _EVENTS or not isinstance(next(iter(event.values())), str):
                    raise _Malformed(f"'{inner}events' has an event that is not one of {', '.join(_EVENTS)} with a version")
            if not any("introduced" in event for event in events):
                raise _Malformed(f"'{inner}events' has no 'introduced'")


def match(advisories: list[dict[str, Any]], parts: list[Part]) -> list[Finding]:
    """What is known against `parts`, what is undecided last; in the order of parts and advisories. Withdrawn advisories are left out."""
    found = []
    for part in parts:
        for advisory in advisories:
            if not advisory.get("withdrawn"):
                found += _about(advisory, part)
    named = {each.id for each in found}
    found += [
        _finding(advisory, None, (), "it names no package, so look at what it is about")
        for advisory in advisories
        if not advisory.get("withdrawn") and one_line(advisory["id"]) not in named and _names_nothing(advisory)
    ]
    return sorted(found, key=lambda each: bool(each.undecided))


def _about(advisory: dict[str, Any], part: Part) -> list[Finding]:
    """The one finding that `advisory` gives about `part`, or none."""
    decided, undecided, fixed = False, "", []
    for affected in advisory.get("affected") or ():
        if not _is_about(affected, part):
            continue
        hit, why = _affects(affected, part.version)
        decided |= hit
        undecided = undecided or why
        if hit or why:
            for each in affected.get("ranges") or ():
                fixed += [event["fixed"] for event in each["events"] if "fixed" in event and each["type"] != "GIT"]
    if not decided and not undecided:
        return []
    return [_finding(advisory, part, tuple(fixed), "" if decided else undecided)]


def _finding(advisory: dict[str, Any], part: Part | None, fixed: tuple[str, ...], undecided: str) -> Finding:
    return Finding(
        one_line(advisory["id"]),
        tuple(one_line(alias) for alias in advisory.get("aliases") or ()),
        one_line(advisory.get("summary") or ""),
        part.name if part else "",
        part.version if part else None,
        tuple(dict.fromkeys(map(one_line, fixed))),
        undecided,
        part.kind if part else "",
    )


def _names_nothing(advisory: dict[str, Any]) -> bool:
    """Whether something in it, or all of it, may be about anything: it is not cleared by what the parts are called."""
    affected = advisory.get("affected") or [{}]
    return any(not _is_elsewhere(each) and not any(_names(each)) for each in affected)


# Kind of a part -> how it gets corrected.
_TOOL, _PACKAGE = "Install a corrected twinroot on this computer", "bring its package to the boards with `twinroot update`"
_FIRMWARE = "Name a corrected firmware in the board file and write it with `twinroot flash`"


def remedy(findings: list[Finding]) -> str:
    """The next step for what was found."""
    kinds = {each.kind for each in findings}
    own = [_TOOL] * bool(kinds & {TOOL, PACKAGE}) + [_PACKAGE] * (PACKAGE in kinds)
    steps = [" and ".join(own)] * bool(own) + [_FIRMWARE] * bool(kinds - {TOOL, PACKAGE})
    return ". ".join(steps) + "; what does not apply leaves the list."


def _name(text: str) -> str:
    plain = re.sub(r"[^a-z0-9]", "", text.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git").lower())
    return _ALIASES.get(plain, plain)


def _names(affected: dict[str, Any]) -> Iterator[str]:
    package = affected.get("package") or {}
    if package.get("name"):
        yield _name(package["name"])
    if package.get("purl"):
        yield _name(re.split(r"[@?#]", package["purl"], maxsplit=1)[0])
    for each in affected.get("ranges") or ():
        if each.get("repo"):
            yield _name(each["repo"])


def _ecosystem(affected: dict[str, Any]) -> str:
    named = (affected.get("package") or {}).get("ecosystem") or ""
    return re.split("[:.]", named, maxsplit=1)[0]  # "Debian:12", and Rust's, which ends like a host


def _is_elsewhere(affected: dict[str, Any]) -> bool:
    """Whether it is about a distribution's package, or one of another language's registry."""
    return _ecosystem(affected) in _ELSEWHERE


def _is_about(affected: dict[str, Any], part: Part) -> bool:
    if _is_elsewhere(affected) and not (_ecosystem(affected) == _TOOLS_OWN and part.kind == TOOL):
        return False
    return _name(part.name) in set(_names(affected))


def _affects(affected: dict[str, Any], version: str | None) -> tuple[bool, str]:
    """(whether `version` is affected, why that cannot be said)."""
    versions = affected.get("versions") or []
    ranges = affected.get("ranges") or []
    if version is None:
        return False, "the version on the board is unknown"
    own = key(version)
    if version in versions or (own is not None and own in [key(each) for each in versions]):
        return True, ""
    compared = [each for each in ranges if each["type"] != "GIT"]
    if own is None and compared:
        return False, f"{version} is not a version that can be compared"
    why = ""
    for each in compared:
        inside = _inside(each["events"], own) if own is not None else None
        if inside:
            return True, ""
        if inside is None:
            why = "its range has a version that cannot be compared"
    if not versions and not compared and ranges:
        why = "it names commits only"
    return False, why


def _inside(events: list[dict[str, str]], own: Key) -> bool | None:
    """OSV's algorithm for one range; None where an event has no version that can be compared."""
    steps: list[tuple[Key | None, str]] = []
    for event in events:
        kind, text = next(iter(event.items()))
        if kind == "limit" and text == "*":
            continue
        at = None if kind == "introduced" and text == "0" else key(text)
        if at is None and text != "0":
            return None
        steps.append((at, kind))
    limits = [at for at, kind in steps if kind == "limit" and at is not None]
    if limits and own >= max(limits):
        return False
    affected = False
    for at, kind in sorted(steps, key=lambda step: (step[0] is not None, step[0] or ())):
        if kind == "introduced" and (at is None or own >= at):
            affected = True
        elif at is not None and ((kind == "fixed" and own >= at) or (kind == "last_affected" and own > at)):
            affected = False
    return affected
