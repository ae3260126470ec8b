"""Registers devices: a thing, a certificate from a request (the key stays here), a policy, and the ties between them.

Each device takes five requests, one after another, several devices at a time. Four of them may be repeated without harm; the one that
makes a certificate may not (certificates.py). Killed anywhere and run again: nothing twice, nothing orphaned.

A certificate that lies here is never replaced, for boards may hold it: AWS has it already, or is given it as it is where the product makes
its certificates itself (`identity.issue`), or the device is refused.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from provisioning.aws.certificates import (
    ACTIVE,
    COMMON_NAME_LIMIT,
    Certificates,
    Holder,
    another,
    as_it_is,
    described,
    description,
    key_of,
    knows_ca,
    not_in_aws,
    own,
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
from provisioning.identity import renewal
from provisioning.identity.pair import check_dates, leaf_of, load_certificate
from provisioning.identity.subject import check_name
from provisioning.parsed import from_json
from provisioning.pem.tlv import DerError
from provisioning.trust import der, signature

_THING_NAME = re.compile(r"[a-zA-Z0-9:_-]{1,128}")  # CreateThing


@dataclass(frozen=True)
class Registration(Holder):
    """What is registered: a thing with the holder's name, and its certificate; `row`: the device that it is."""

    row: Device | None = None

    @classmethod
    def of(cls, product: Product, device: Device) -> Registration:
        """A device of a product."""
        filled = filled_in(product, device)
        return cls(filled.client_id, filled.key, filled.certificate, device.id, device)


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
    issuer: Path | None = None,
) -> list[Result]:
    """Register each unit, `workers` at a time; those that the journal calls done cost no request. The rows are in the order of `units`.
    `issuer`: certificate of the CA with which the product makes its devices' certificates; None: AWS makes them.

    What is wrong with one device (its key file, its name taken) is its row's error, and the others go on. What is wrong with the station
    (network, credentials, permission) is raised: the next run goes on where this one stopped. The first device that needs AWS goes alone,
    so that what is wrong with all of them is met once. An answer that is lost, and not found out at once, is asked after when all others
    are done.
    """
    run = _Run(aws, policy, journal, now, issuer)
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


def plan(aws: Aws | None, units: Iterable[Registration], journal: Journal, issuer: Path | None = None) -> list[Result]:
    """What `register` would do, with questions only: `done` holds the steps that are missing. Without `aws`: by the journal alone."""
    results = []
    for unit in units:
        try:
            results.append(_planned(aws, unit, journal, issuer))
        except InputError as e:
            results.append(Result(unit.device, "error", message=e.message, hint=e.hint))
    return results


def _planned(aws: Aws | None, unit: Registration, journal: Journal, issuer: Path | None) -> Result:
    check_names(unit)
    known = journal.of(unit.device)
    name = known.get("certificate", {}).get("id")
    if unit.certificate.exists():
        here = own(unit)
        if renewal.fingerprint(here) != name:
            steps = [_NAMES[step] for step in ("thing", "policy", "done")]
            if aws is None:
                return Result(unit.device, "pass", done=("ask AWS for the certificate that is here", *steps))
            found = _of_file(aws, unit, here, name, issuer)
            made = () if found.arn else ("register the certificate that is here",)
            done = () if found.whole else (*(() if found.thing else steps[:1]), *made, *steps[1:])
            return Result(unit.device, "pass", renewal.fingerprint(here), done)
    else:
        _check_missing(unit, name, issuer)
    missing = [step for step in ("thing", "certificate", "policy", "done") if step not in known] if "done" not in known else []
    if aws is not None and missing and "certificate" not in known and _principals(aws, unit.device):
        return Result(unit.device, "pass", done=("look at the certificate that its thing has already", *missing[1:]))
    return Result(unit.device, "pass", name, tuple(_NAMES[s] for s in missing))


_NAMES = {"thing": "make the thing", "certificate": "make the certificate", "policy": "attach the policy", "done": "attach the thing"}


class _Run:
    """What the devices of one run share. For as many threads as ask, each with a device of its own."""

    def __init__(self, aws: Aws, policy: str, journal: Journal, now: Callable[[], float], issuer: Path | None) -> None:
        self.aws, self.policy, self.journal, self.issuer = aws, policy, journal, issuer
        self.certificates = Certificates(aws, journal, now)
        self._ca: tuple[bytes, bool] | None = None  # the issuer's DER, and whether AWS knows it: asked for once
        self._lock = threading.Lock()

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
        name = known.get("certificate", {}).get("id")
        if unit.certificate.exists():
            here = own(unit)
            if renewal.fingerprint(here) != name:
                done = self._as_it_is(unit, here, known)
                known = journal.of(unit.device)
        else:
            _check_missing(unit, name, self.issuer)
            if name:
                write_certificate(unit.certificate, description(aws, name)["certificatePem"])
                done.append("certificate fetched")
        if "done" in known:
            return Result(unit.device, "pass", known["certificate"]["id"], tuple(done))
        if "certificate" not in known:
            wanted = public_key(unit)
            found = _of_its_thing(aws, unit, wanted) if not known else None  # nothing is remembered: the journal is new, or it was lost
            if found is None and "thing" not in known:
                aws.call("create_thing", thingName=unit.device)
                journal.add(unit.device, "thing")
                done.append("thing")
            done += self.certificates.have(unit, wanted, found)
        certificate = journal.of(unit.device)["certificate"]
        if "policy" not in known:
            aws.call("attach_policy", policyName=self.policy, target=certificate["arn"])
            journal.add(unit.device, "policy")
            done.append("policy")
        aws.call("attach_thing_principal", thingName=unit.device, principal=certificate["arn"])
        journal.add(unit.device, "done")
        return Result(unit.device, "pass", certificate["id"], (*done, "attached"))

    def _as_it_is(self, unit: Registration, here: der.Certificate, known: dict[str, Any]) -> list[str]:
        """See to it that AWS has the certificate that is here, and the journal says so; the steps that were taken."""
        aws, journal, name = self.aws, self.journal, renewal.fingerprint(here)
        done: list[str] = []
        found = _of_file(aws, unit, here, known.get("certificate", {}).get("id"), self.issuer)
        arn = found.arn
        ca = None if arn else self._known_ca()
        if not found.thing:
            aws.call("create_thing", thingName=unit.device)
            done.append("thing")
        if not arn:
            arn, made = as_it_is(aws, here.der, ca)
            done += ["certificate"] if made else []
        if "thing" not in known:
            journal.add(unit.device, "thing")
        journal.add(unit.device, "certificate", id=name, arn=arn)
        if found.whole:
            for step in ("policy", "done"):
                journal.add(unit.device, step)
        return done

    def _known_ca(self) -> bytes | None:
        """The issuer's certificate where the account has it."""
        assert self.issuer is not None  # noqa: S101  else the device was refused
        with self._lock:
            if self._ca is None:
                ca = leaf_of(self.issuer)
                self._ca = ca, knows_ca(self.aws, ca)
        return self._ca[0] if self._ca[1] else None


@dataclass(frozen=True)
class _Found:
    """What AWS has of a certificate that lies here: its ARN, its thing; `whole`: a renewed one that is tied to it already."""

    arn: str | None
    thing: bool
    whole: bool


def _of_file(aws: Aws, unit: Registration, here: der.Certificate, before: str | None, issuer: Path | None) -> _Found:
    """Raises InputError where AWS must not be given the certificate `here`. `before`: the id of the one that the journal has."""
    name = renewal.fingerprint(here)
    if unit.row is not None:
        check_name(here.common_name or "", unit.row, unit.device, unit.certificate)
    found = described(aws, name)
    if found is None:
        if issuer is None:
            not_in_aws(unit, aws.region)
        else:
            _check_issued(unit, here, issuer)
    elif found["status"] != ACTIVE:
        raise InputError(
            "certificate-inactive",
            f"{unit.certificate} is in AWS, and is {found['status']} there.",
            "Find out who did that; `aws iot update-certificate` activates it.",
        )
    thing, attached = _on_its_thing(aws, unit, here)
    if found is not None and not attached:
        for other in aws.pages("list_principal_things", "things", principal=found["certificateArn"]):
            raise _taken(f"{unit.certificate} is the certificate of thing {other} in AWS")
    was = renewal.laid_aside(unit.certificate, before) if before else ""
    whole = bool(before) and found is not None and attached
    if was == "renewed" and not whole:
        raise InputError(
            "certificate-renewed",
            f"{unit.certificate} was renewed, and AWS does not have it for {unit.device} yet.",
            "`twinroot aws register PRODUCT --renewed` registers it beside the old one.",
        )
    if before and not was and not whole:
        raise another(unit.certificate, f"the certificate that was registered for {unit.device}")
    return _Found(found["certificateArn"] if found else None, thing, whole)


def _check_issued(unit: Registration, here: der.Certificate, issuer: Path) -> None:
    """Raises InputError for a certificate that the product's CA did not make, or that is over."""
    ca = renewal.leaf(load_certificate(issuer), issuer)
    try:
        good = here.issuer_raw == ca.subject_raw and signature.signed_by(here, ca)
    except DerError:
        good = False
    if not good:
        raise InputError(
            "unknown-certificate",
            f"{unit.certificate} is not of the product's CA ({issuer}), and AWS does not have it. It stays: boards may hold it.",
            "Another account or region? `aws iot register-certificate-without-ca` registers it as it is.",
        )
    check_dates(here.not_before, here.not_after, unit.certificate, datetime.now(timezone.utc))


def _check_missing(unit: Registration, name: str | None, issuer: Path | None) -> None:
    """Raises InputError where the certificate is not here, and AWS's is not to take its place. `name`: the id that the journal has."""
    was = renewal.laid_aside(unit.certificate, name) if name else ""
    if was == "renewed":
        raise InputError(
            "certificate-missing", f"{unit.certificate} is missing: it replaced the one that AWS has.", "Restore it from a copy."
        )
    if issuer is not None and (was or not name):
        raise InputError(
            "certificate-missing",
            f"{unit.certificate} is missing, and the product makes its certificates itself (`identity: {{issue: …}}`).",
            "`twinroot identity make PRODUCT` makes it; or leave `issue:` out, and AWS makes it.",
        )


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


def _of_its_thing(aws: Aws, unit: Registration, wanted: bytes) -> dict[str, Any] | None:
    """The certificate of this device's key that its thing has already. Raises InputError when the thing has one of another key."""
    try:
        aws.call("describe_thing", thingName=unit.device)  # AWS allows 35 of these for each question after principals
    except NotFound:
        return None
    for arn in _principals(aws, unit.device):
        if ":cert/" not in arn:
            continue
        found = description(aws, arn.rpartition("/")[2])
        if key_of(found["certificatePem"]) == wanted and found["status"] == ACTIVE:
            return found
        raise _taken(f"Thing {unit.device} has a certificate already, and it is inactive or not of the key in {unit.key}")
    return None


def _on_its_thing(aws: Aws, unit: Registration, here: der.Certificate) -> tuple[bool, bool]:
    """Whether the device's thing is there, and tied to the certificate `here`. Raises InputError where it has another device's: one of
    another key that was not laid aside here."""
    try:
        aws.call("describe_thing", thingName=unit.device)
    except NotFound:
        return False, False
    names = [arn.rpartition("/")[2] for arn in _principals(aws, unit.device) if ":cert/" in arn]
    if renewal.fingerprint(here) in names:
        return True, True
    for name in names:
        if not renewal.laid_aside(unit.certificate, name) and key_of(description(aws, name)["certificatePem"]) != here.spki:
            raise _taken(f"Thing {unit.device} has a certificate already, and it is not of the key of {unit.certificate}")
    return True, False


def _taken(how: str) -> InputError:
    hint = "Is the name used by another device? If not, detach that certificate in AWS, or bring its key here."
    return InputError("thing-taken", f"{how}.", hint)


def _principals(aws: Aws, thing: str) -> list[str]:
    try:
        return [str(p) for p in aws.pages("list_thing_principals", "principals", thingName=thing)]
    except NotFound:
        return []
