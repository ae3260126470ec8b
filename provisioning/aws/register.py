"""Registers devices: a thing, a certificate from a request (the key stays here), a policy, and the ties between them.

Each device takes five requests, one after another, several devices at a time. Four of them may be repeated without harm; the one that
makes a certificate may not (certificates.py). Killed anywhere and run again: nothing twice, nothing orphaned.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from provisioning.aws.certificates import (
    COMMON_NAME_LIMIT,
    Certificates,
    Holder,
    check_file,
    description,
    key_of,
    public_key,
    write_certificate,
)
from provisioning.aws.iot_api import Aws, LostAnswer, NotFound
from provisioning.aws.journal import Journal
from provisioning.aws.parallel import WORKERS, each
from provisioning.config.device import Device
from provisioning.config.product import Product
from provisioning.config.unit import unit as filled_in
from provisioning.errors import InputError
from provisioning.parsed import from_json

_THING_NAME = re.compile(r"[a-zA-Z0-9:_-]{1,128}")  # CreateThing


@dataclass(frozen=True)
class Registration(Holder):
    """What is registered: a thing with the holder's name, and its certificate."""

    @classmethod
    def of(cls, product: Product, device: Device) -> Registration:
        """A device of a product."""
        filled = filled_in(product, device)
        return cls(filled.client_id, filled.key, filled.certificate, device.id)


@dataclass(frozen=True)
class Result:
    """One device's row of the report. `outcome`: "pass" | "error"; `done`: what this run did; `certificate`: AWS's id, hex SHA-256."""

    device: str
    outcome: str
    certificate: str | None = None
    done: tuple[str, ...] = ()
    message: str = ""
    hint: str = ""


def ensure_policy(aws: Aws, name: str, document: dict[str, Any] | None) -> str:
    """Make the policy when it is not there: "made", "there", or "differs" for one that is there and says something else than `document`; it
    is never changed.

    Raises InputError when it has to be made and there is no document for it.
    """
    try:
        found = aws.call("get_policy", policyName=name)
    except NotFound:
        if document is None:
            raise InputError("no-policy", f"There is no policy {name!r} in {aws.region}.", "Correct --policy, or leave it out.") from None
        aws.call("create_policy", policyName=name, policyDocument=json.dumps(document))
        return "made"
    try:
        same = document is None or from_json(found["policyDocument"]) == document
    except (KeyError, TypeError, ValueError, RecursionError):
        same = False
    return "there" if same else "differs"


def register(
    aws: Aws,
    units: Iterable[Registration],
    policy: str,
    journal: Journal,
    progress: Callable[[Result], None] = lambda _: None,
    now: Callable[[], float] = time.time,
    workers: int = WORKERS,
) -> list[Result]:
    """Register each unit, `workers` at a time; those that the journal calls done cost no request. The rows are in the order of `units`.

    What is wrong with one device (its key file, its name taken) is its row's error, and the others go on. What is wrong with the station
    (network, credentials, permission) is raised: the next run goes on where this one stopped. The first device that needs AWS goes alone,
    so that what is wrong with all of them is met once. An answer that is lost, and not found out at once, is asked after when all others
    are done.
    """
    run = _Run(aws, policy, journal, now)
    rows: dict[int, Result] = {}
    later: list[tuple[int, Registration]] = []

    def note(index: int, result: Result) -> None:
        rows[index] = result
        progress(result)

    def attempt(item: tuple[int, Registration]) -> tuple[int, Registration, Result | None]:
        try:
            return *item, run.one(item[1])
        except LostAnswer:
            return *item, None

    waiting = _by_name(units, later)
    before = aws.requests
    for item in waiting:
        index, unit, result = attempt(item)
        if result:
            note(index, result)
        else:
            later.append((index, unit))
        if aws.requests > before:
            break
    for index, unit, result in each(attempt, waiting, workers):
        if result:
            note(index, result)
        else:
            later.append((index, unit))
    for index, unit in later:
        note(index, run.one(unit))
    return [rows[index] for index in sorted(rows)]


def _by_name(units: Iterable[Registration], later: list[tuple[int, Registration]]) -> Iterator[tuple[int, Registration]]:
    """The units with their numbers. One whose name was there before waits: of two at the same time each would make a certificate."""
    names = set()
    for index, unit in enumerate(units):
        if unit.device in names:
            later.append((index, unit))
        else:
            names.add(unit.device)
            yield index, unit


def plan(aws: Aws | None, units: Iterable[Registration], journal: Journal) -> list[Result]:
    """What `register` would do, with questions only: `done` holds the steps that are missing. Without `aws`: by the journal alone."""
    results = []
    for unit in units:
        try:
            check_names(unit)
        except InputError as e:
            results.append(Result(unit.device, "error", message=e.message, hint=e.hint))
            continue
        known = journal.of(unit.device)
        missing = [step for step in ("thing", "certificate", "policy", "done") if step not in known] if "done" not in known else []
        if aws is not None and missing and "certificate" not in known and _principals(aws, unit.device):
            results.append(Result(unit.device, "pass", done=("look at the certificate that its thing has already", *missing[1:])))
            continue
        results.append(Result(unit.device, "pass", known.get("certificate", {}).get("id"), tuple(_NAMES[s] for s in missing)))
    return results


_NAMES = {"thing": "make the thing", "certificate": "make the certificate", "policy": "attach the policy", "done": "attach the thing"}


class _Run:
    """What the devices of one run share. For as many threads as ask, each with a device of its own."""

    def __init__(self, aws: Aws, policy: str, journal: Journal, now: Callable[[], float]) -> None:
        self.aws, self.policy, self.journal, self.now = aws, policy, journal, now
        self.certificates = Certificates(aws, journal, now)

    def one(self, unit: Registration) -> Result:
        """A device's row. Raises StationError, and LostAnswer where it is not known whether a certificate was made."""
        try:
            return self._one(unit)
        except InputError as e:
            return Result(unit.device, "error", message=e.message, hint=e.hint)

    def _one(self, unit: Registration) -> Result:
        check_names(unit)
        aws, journal = self.aws, self.journal
        known = journal.of(unit.device)
        done: list[str] = []
        if "certificate" in known and not unit.certificate.exists():
            write_certificate(unit.certificate, description(aws, known["certificate"]["id"])["certificatePem"])
            done.append("certificate fetched")
        if "done" in known:
            check_file(unit, known["certificate"]["id"])
            return Result(unit.device, "pass", known["certificate"]["id"], tuple(done))
        if "certificate" not in known:
            wanted = public_key(unit)
            found = _on_its_thing(aws, unit, wanted) if not known else None  # nothing is remembered: the journal is new, or it was lost
            if found is None and "thing" not in known:
                aws.call("create_thing", thingName=unit.device)
                journal.add(unit.device, "thing")
                done.append("thing")
            done += self.certificates.have(unit, wanted, found)
        certificate = journal.of(unit.device)["certificate"]
        check_file(unit, certificate["id"])
        if "policy" not in known:
            aws.call("attach_policy", policyName=self.policy, target=certificate["arn"])
            journal.add(unit.device, "policy")
            done.append("policy")
        aws.call("attach_thing_principal", thingName=unit.device, principal=certificate["arn"])
        journal.add(unit.device, "done")
        return Result(unit.device, "pass", certificate["id"], (*done, "attached"))


def check_names(unit: Holder) -> None:
    """Raises InputError, before anything is made, for a name that AWS would refuse in the middle."""
    if not _THING_NAME.fullmatch(unit.device):
        raise InputError(
            "bad-thing-name",
            f"{unit.device[:40]!r} cannot be the name of a thing: AWS takes 1 to 128 letters, digits, ':', '_' and '-'.",
            "Give the product a client_id of such characters, such as '{device}' with other ids.",
        )
    if not 1 <= len(unit.common_name) <= COMMON_NAME_LIMIT:
        raise InputError(
            "bad-thing-name",
            f"{unit.device[:40]!r}… has {len(unit.device)} characters, and a certificate's common name at most {COMMON_NAME_LIMIT}.",
            "Give the product a shorter client_id.",
        )


def _on_its_thing(aws: Aws, unit: Registration, wanted: bytes) -> dict[str, Any] | None:
    """The certificate of this device's key that its thing has already. Raises InputError when the thing has one of another key."""
    try:
        aws.call("describe_thing", thingName=unit.device)  # AWS allows 35 of these for each question after principals
    except NotFound:
        return None
    for arn in _principals(aws, unit.device):
        if ":cert/" not in arn:
            continue
        found = description(aws, arn.rpartition("/")[2])
        if key_of(found["certificatePem"]) == wanted and found["status"] == "ACTIVE":
            return found
        raise InputError(
            "thing-taken",
            f"Thing {unit.device} has a certificate already, and it is inactive or not of the key in {unit.key}.",
            "Is the name used by another device? If not, detach that certificate in AWS, or bring its key here.",
        )
    return None


def _principals(aws: Aws, thing: str) -> list[str]:
    try:
        return [str(p) for p in aws.pages("list_thing_principals", "principals", thingName=thing)]
    except NotFound:
        return []
