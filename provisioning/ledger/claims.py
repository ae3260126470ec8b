"""Which device belongs to which board: decided from the ledger, inside the transaction that writes the decision down.

A board (MAC) and a device (serial number) belong together from the first claim on. An attempt that ended without a write frees them again,
a `release` row frees them by a person's decision. The same board on a retry gets the same device, two boards never do, and no
certificate goes onto two boards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from provisioning.errors import InputError
from provisioning.ledger.entry import CLAIM, INTENT, OUTCOME, RELEASE, RENEWAL, TASK, Entry, parse
from provisioning.ledger.store import Ledger, select
from provisioning.ledger.table import ENTRIES

_PART = 500  # devices that are asked for at once; SQLite takes some thousand values in a statement
_ENOUGH = 64  # free devices that a board brings into its turn: more than slots that take one at the same moment


@dataclass(frozen=True)
class OpenAttempt:
    """The rows of one attempt, folded."""

    id: str
    device: str | None
    mac: str | None
    certificate: str | None
    began: str
    claimed: bool  # a device was promised by it
    intended: bool  # the first write may have happened
    outcome: str | None  # None: still open
    fields: Mapping[str, Any]

    @property
    def binds(self) -> bool:
        """Whether board and device belong together because of this attempt: it promised that, and is open, passed (nothing may have been
        left to write), or wrote."""
        return self.claimed and (self.outcome in (None, "pass") or bool(self.fields.get("wrote")))


def _fold(entries: Sequence[Entry]) -> list[OpenAttempt]:
    """Attempts in order of their first row; a release removes what it names."""
    folded: dict[str, OpenAttempt] = {}
    for entry in entries:
        fields = entry.fields
        if entry.kind in (TASK, RENEWAL):
            continue  # what follows a PASS changes nothing of it, nor does a certificate that is on no board yet
        if entry.kind == RELEASE:
            gone = {id_ for id_, a in folded.items() if a.mac == fields.get("mac") or a.device == fields.get("device")}
            folded = {id_: a for id_, a in folded.items() if id_ not in gone}
            continue
        old = folded.get(entry.attempt)
        merged = {**(old.fields if old else {}), **fields}
        folded[entry.attempt] = OpenAttempt(
            entry.attempt,
            merged.get("device"),
            merged.get("mac"),
            merged.get("certificate_sha256"),
            old.began if old else entry.at,
            (old.claimed if old else False) or entry.kind == CLAIM,
            (old.intended if old else False) or entry.kind == INTENT,
            fields.get("outcome") if entry.kind == OUTCOME else (old.outcome if old else None),
            merged,
        )
    return list(folded.values())


def attempts(connection: Connection, **equal: str) -> list[OpenAttempt]:
    """Attempts that touch the given mac, device or certificate."""
    found = {entry.attempt for entry in select(connection, **equal)}
    if not found:
        return []
    rows = [parse(body) for body in connection.execute(sa.select(ENTRIES.c.body).where(ENTRIES.c.attempt.in_(found))).scalars()]
    # A release that names the board or the device frees an attempt that was found by its certificate, too.
    named = ENTRIES.c.mac.in_(_named(rows, "mac")) | ENTRIES.c.device.in_(_named(rows, "device"))
    releases = connection.execute(sa.select(ENTRIES.c.body).where(ENTRIES.c.kind == RELEASE, named)).scalars()
    every = {row.seq: row for row in [*rows, *map(parse, releases)]}
    return _fold([every[seq] for seq in sorted(every)])


def _named(rows: Sequence[Entry], field: str) -> set[str]:
    return {row.fields[field] for row in rows if field in row.fields}


def open_attempts(ledger: Ledger, mac: str) -> list[OpenAttempt]:
    """Attempts on this board that have no outcome: the host died, or another process is at it."""
    return [a for a in ledger.read(lambda connection: attempts(connection, mac=mac)) if a.outcome is None]


def device_of(connection: Connection, mac: str) -> OpenAttempt | None:
    """The attempt by which this board has a device."""
    bound = [a for a in attempts(connection, mac=mac) if a.binds]
    return bound[-1] if bound else None


def board_of(connection: Connection, device: str) -> OpenAttempt | None:
    """The attempt by which this device has a board."""
    bound = [a for a in attempts(connection, device=device) if a.binds]
    return bound[-1] if bound else None


def is_released(ledger: Ledger, mac: str) -> bool:
    """Whether a person freed this board, and nothing has bound it since: what it holds is nobody's any more."""

    def look(connection: Connection) -> bool:
        bound = device_of(connection, mac) is not None
        return not bound and any(entry.kind == RELEASE for entry in select(connection, mac=mac))

    return ledger.read(look)


def retired(ledger: Ledger, device: str) -> frozenset[str]:
    """Fingerprints of the certificates that boards of this device had when they were released: no other board gets them."""
    seen: set[str] = set()
    gone: set[str] = set()
    for entry in ledger.read(lambda connection: select(connection, device=device)):
        if entry.kind == RELEASE:
            gone |= seen
        elif entry.fields.get("certificate_sha256"):
            seen.add(entry.fields["certificate_sha256"])
    return frozenset(gone)


def released(ledger: Ledger, devices: Sequence[str]) -> frozenset[str]:
    """Those of the devices that a person freed at some time."""

    def look(connection: Connection) -> set[str]:
        found: set[str] = set()
        for start in range(0, len(devices), _PART):
            part = ENTRIES.c.device.in_(devices[start : start + _PART])
            found.update(connection.execute(sa.select(ENTRIES.c.device).where(ENTRIES.c.kind == RELEASE, part)).scalars())
        return found

    return frozenset(ledger.read(look) if devices else ())


class _Taken(Exception):
    """Every device that was free when it was looked for has been given to other boards since."""


def claim(ledger: Ledger, attempt: str, mac: str, candidates: Sequence[str], fields: Mapping[str, Any], leave: int = 0) -> str:
    """Promise one of the devices to this board and return it: the one that it has already, else the first that is free. `leave`: so
    many free ones are left to others, if there are more.

    Raises InputError: the board has a device that is not among them, or none of them is free.
    """
    chosen = ""

    def decide(connection: Connection) -> tuple[str, str, Mapping[str, Any]]:
        nonlocal chosen
        chosen = _choose(connection, mac, candidates, free, leave)
        return CLAIM, attempt, {**fields, "mac": mac, "device": chosen}

    while True:
        # The list of devices is gone through before the writer's turn, so that all other boards wait for a few statements only, however
        # long the list is and however much of it is used up.
        free = ledger.read(lambda connection: _some_free(connection, mac, candidates))
        try:
            ledger.append_checked(decide)
        except _Taken:
            continue
        return chosen


def _some_free(connection: Connection, mac: str, candidates: Sequence[str]) -> list[str]:
    """The first devices that are free; none for a board that needs none of them. Raises InputError where no device is free."""
    if len(candidates) == 1 or device_of(connection, mac) is not None:
        return []
    # That none is free is said only after an exact look at every one.
    free = list(islice(_free(connection, candidates), _ENOUGH)) or [one for one in candidates if board_of(connection, one) is None]
    if not free:
        raise InputError("no-device-left", f"All {len(candidates)} devices have a board already.", "Add rows to the CSV of devices.")
    return free[:_ENOUGH]


def _free(connection: Connection, candidates: Sequence[str]) -> Iterator[str]:
    """The free ones among the candidates, in order, asked for in parts."""
    one = ENTRIES.c
    ended = sa.func.max(one.outcome)
    wrote = sa.func.max(sa.case((one.wrote.is_(True), 1), else_=0))
    passed = sa.func.max(sa.case((one.outcome == "pass", 1), else_=0))
    claimed = sa.func.max(sa.case((one.kind == CLAIM, 1), else_=0))
    binds = sa.case(((claimed == 1) & (ended.is_(None) | (wrote == 1) | (passed == 1)), 1), else_=0)
    freed = sa.func.max(sa.case((one.kind == RELEASE, 1), else_=0))
    for start in range(0, len(candidates), _PART):
        part = candidates[start : start + _PART]
        rows = connection.execute(sa.select(one.device, binds, freed).where(one.device.in_(part)).group_by(one.device, one.attempt)).all()
        known = {device for device, _, _ in rows}
        bound = {device for device, does, _ in rows if does} - {device for device, _, was in rows if was}
        for device in part:
            if device not in known or (device not in bound and board_of(connection, device) is None):
                yield device


def _choose(connection: Connection, mac: str, candidates: Sequence[str], free: Sequence[str], leave: int) -> str:
    own = device_of(connection, mac)
    if own is not None and own.device is not None:
        if own.device in candidates:
            return own.device
        raise InputError(
            "mac-used",
            f"The board {mac} is device {own.device} already ({own.outcome or 'unfinished'}, {own.began[:10]}).",
            f"Take another board; this one stays {own.device}. Only when it is scrapped does `twinroot ledger release` free it.",
        )
    if len(candidates) != 1:
        left = list(islice(_free(connection, free), leave + 1))
        if not left:
            raise _Taken
        return left[-1]
    other = board_of(connection, candidates[0])
    if other is None:
        return candidates[0]
    raise InputError(
        "serial-used",
        f"Device {candidates[0]} is the board {other.mac} already ({other.outcome or 'unfinished'}, {other.began[:10]}).",
        f"Use another device, or connect that board. Only when it is scrapped does `twinroot ledger release` free {candidates[0]}.",
    )


def intend(ledger: Ledger, attempt: str, fields: Mapping[str, Any]) -> Entry:
    """The row before the first write. Raises InputError `certificate-used` when another board has this certificate."""

    def decide(connection: Connection) -> tuple[str, str, Mapping[str, Any]]:
        fingerprint = fields.get("certificate_sha256")
        for other in attempts(connection, certificate=fingerprint) if fingerprint else []:
            if other.binds and other.mac != fields.get("mac"):
                raise InputError(
                    "certificate-used",
                    f"The certificate of {fields.get('device')} is on the board {other.mac} already, as device {other.device}.",
                    "Each device needs a certificate of its own.",
                )
        return INTENT, attempt, fields

    return ledger.append_checked(decide)


def release(
    ledger: Ledger, attempt: str, *, mac: str | None, device: str | None, fields: Mapping[str, Any]
) -> tuple[str | None, str | None]:
    """Free a board and its device; returns both. Raises InputError when nothing is bound."""
    freed: tuple[str | None, str | None] = (None, None)

    def decide(connection: Connection) -> tuple[str, str, Mapping[str, Any]]:
        nonlocal freed
        bound = device_of(connection, mac) if mac else board_of(connection, device or "")
        if bound is None:
            raise InputError("not-bound", f"The ledger binds nothing to {mac or device}.", "`twinroot ledger show` lists what it knows.")
        freed = (bound.mac, bound.device)
        return RELEASE, attempt, {**fields, "mac": bound.mac, "device": bound.device, "replaces": bound.certificate}

    ledger.append_checked(decide)
    return freed
