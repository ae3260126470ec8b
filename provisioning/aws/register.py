"""Registers devices: a thing, a certificate from a request (the key stays here), a policy, and the ties between them.

Each device takes four requests, one after another. Three may be repeated without harm. The one that makes a certificate may not: AWS makes
another one each time. So the journal says so before it is sent, and a run that finds such a line without an answer asks AWS for the
certificates made since, and takes the one with this device's key. Killed anywhere and run again: nothing twice, nothing orphaned.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from provisioning import atomic_files
from provisioning.aws import csr
from provisioning.aws.iot_api import Aws, LostAnswer, NotFound
from provisioning.aws.journal import Journal
from provisioning.config.device import Device
from provisioning.config.product import Product
from provisioning.config.unit import unit as filled_in
from provisioning.errors import InputError, StationError
from provisioning.identity import reading
from provisioning.parsed import from_json
from provisioning.pem.read import certificates, encode
from provisioning.pem.tlv import DerError
from provisioning.trust import der

# How far this computer's clock may be behind AWS's when looking for a certificate that was made since.
_CLOCK_SLACK = 900  # seconds
_COMMON_NAME_LIMIT = 64  # characters (RFC 5280, appendix A.1); things have twice as many
_THING_NAME = re.compile(r"[a-zA-Z0-9:_-]{1,128}")  # CreateThing
_PAGE = 250  # certificates a page: AWS's maximum


@dataclass(frozen=True)
class Registration:
    """What is registered: the thing's name (the client id), where key and certificate lie here, and the certificate's common name where
    the thing's is too long for one."""

    device: str
    key: Path
    certificate: Path
    short: str = ""

    @classmethod
    def of(cls, product: Product, device: Device) -> Registration:
        """A device of a product."""
        filled = filled_in(product, device)
        return cls(filled.client_id, filled.key, filled.certificate, device.id)

    @property
    def common_name(self) -> str:
        return self.device if len(self.device) <= _COMMON_NAME_LIMIT else self.short


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
) -> list[Result]:
    """Register each unit; those that the journal calls done cost no request.

    What is wrong with one device (its key file, its name taken) is its row's error, and the others go on. What is wrong with the station
    (network, credentials, permission) is raised: the next run goes on where this one stopped.
    """
    results = []
    for unit in units:
        try:
            result = _register_one(aws, unit, policy, journal, now)
        except InputError as e:
            result = Result(unit.device, "error", message=e.message, hint=e.hint)
        results.append(result)
        progress(result)
    return results


def plan(aws: Aws | None, units: Iterable[Registration], journal: Journal) -> list[Result]:
    """What `register` would do, with questions only: `done` holds the steps that are missing. Without `aws`: by the journal alone."""
    results = []
    for unit in units:
        try:
            _check_names(unit)
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


def _register_one(aws: Aws, unit: Registration, policy: str, journal: Journal, now: Callable[[], float]) -> Result:
    _check_names(unit)
    known = journal.of(unit.device)
    done: list[str] = []
    if "certificate" in known and not unit.certificate.exists():
        _write_certificate(unit, _description(aws, known["certificate"]["id"])["certificatePem"])
        done.append("certificate fetched")
    if "done" in known:
        _check_files(unit, known["certificate"]["id"])
        return Result(unit.device, "pass", known["certificate"]["id"], tuple(done))
    if "certificate" not in known:
        wanted = _public_key(unit)
        found = _already_there(aws, unit, wanted, journal)
        if found is None:
            if "thing" not in known:
                aws.call("create_thing", thingName=unit.device)
                journal.add(unit.device, "thing")
                done.append("thing")
            found = _make_certificate(aws, unit, wanted, journal, now)
            done.append("certificate")
        _keep(unit, found, wanted, journal)
    certificate = journal.of(unit.device)["certificate"]
    _check_files(unit, certificate["id"])
    if "policy" not in known:
        aws.call("attach_policy", policyName=policy, target=certificate["arn"])
        journal.add(unit.device, "policy")
        done.append("policy")
    aws.call("attach_thing_principal", thingName=unit.device, principal=certificate["arn"])
    journal.add(unit.device, "done")
    return Result(unit.device, "pass", certificate["id"], (*done, "attached"))


def _check_names(unit: Registration) -> None:
    """Raises InputError, before anything is made, for a name that AWS would refuse in the middle."""
    if not _THING_NAME.fullmatch(unit.device):
        raise InputError(
            "bad-thing-name",
            f"{unit.device[:40]!r} cannot be the name of a thing: AWS takes 1 to 128 letters, digits, ':', '_' and '-'.",
            "Give the product a client_id of such characters, such as '{device}' with other ids.",
        )
    if not 1 <= len(unit.common_name) <= _COMMON_NAME_LIMIT:
        raise InputError(
            "bad-thing-name",
            f"{unit.device[:40]!r}… has {len(unit.device)} characters, and a certificate's common name at most {_COMMON_NAME_LIMIT}.",
            "Give the product a shorter client_id.",
        )


def _public_key(unit: Registration) -> bytes:
    """The device's public key: of its key, which is made when there is none. A key that went to its device and was removed here is known
    by its certificate."""
    if unit.certificate.exists() and not unit.key.exists():
        try:
            return der.certificate(reading.certificates(unit.certificate)[0]).spki
        except DerError as e:
            raise InputError("certificate-file", f"{unit.certificate} is damaged, and its key is not here: {e}.", "Restore either.") from e
    return csr.public_der(csr.load_or_make_key(unit.key))


def _already_there(aws: Aws, unit: Registration, wanted: bytes, journal: Journal) -> dict[str, Any] | None:
    """The certificate of this device's key that AWS has already: on its thing, or made by a request whose answer was lost."""
    known = journal.of(unit.device)
    if not known:  # nothing is remembered: the journal is new, or it was lost
        for arn in _principals(aws, unit.device):
            if ":cert/" not in arn:
                continue
            found = _description(aws, arn.rpartition("/")[2])
            if _key_of(found["certificatePem"]) == wanted and found["status"] == "ACTIVE":
                return found
            raise InputError(
                "thing-taken",
                f"Thing {unit.device} has a certificate already, and it is inactive or not of the key in {unit.key}.",
                "Is the name used by another device? If not, detach that certificate in AWS, or bring its key here.",
            )
    if "request" not in known:
        return None
    return _orphan(aws, wanted, known["request"]["at"] - _CLOCK_SLACK, journal.ids())


def _orphan(aws: Aws, wanted: bytes, since: float, taken: set[str]) -> dict[str, Any] | None:
    """The certificate with this key among those made since, newest first, that no device has."""
    for row in aws.pages("list_certificates", "certificates", pageSize=_PAGE, ascendingOrder=False):
        if _seconds(row["creationDate"]) < since:
            return None
        if row["certificateId"] not in taken:
            found = _description(aws, row["certificateId"])
            if _key_of(found["certificatePem"]) == wanted:
                return found
    return None


def _make_certificate(aws: Aws, unit: Registration, wanted: bytes, journal: Journal, now: Callable[[], float]) -> dict[str, Any]:
    if not unit.key.exists():
        raise InputError(
            "unknown-certificate",
            f"{unit.certificate} is not a certificate of {unit.device} in AWS, and its key is not here.",
            "Move the certificate away: a new key and certificate are made then.",
        )
    request = csr.request_for(csr.load_or_make_key(unit.key), unit.common_name)
    since = journal.of(unit.device).get("request", {}).get("at")
    if since is None:
        since = int(now())
        journal.add(unit.device, "request", at=since)
    try:
        return aws.call("create_certificate_from_csr", repeatable=False, certificateSigningRequest=request, setAsActive=True)
    except LostAnswer:
        found = _orphan(aws, wanted, since - _CLOCK_SLACK, journal.ids())
        if found is None:
            raise
        return found


def _keep(unit: Registration, found: dict[str, Any], wanted: bytes, journal: Journal) -> None:
    """The certificate first, then the line that says so: a line never speaks of a file that is not there."""
    if _key_of(found["certificatePem"]) != wanted:
        raise StationError("wrong-key", f"AWS answered {unit.device} with a certificate of another key.", "Do not use it; ask AWS.")
    _write_certificate(unit, found["certificatePem"])
    journal.add(unit.device, "certificate", id=found["certificateId"], arn=found["certificateArn"])


def _write_certificate(unit: Registration, text: str) -> None:
    try:
        unit.certificate.parent.mkdir(parents=True, exist_ok=True)
        atomic_files.replace(unit.certificate, encode("CERTIFICATE", certificates(str(text).encode())[0]))
    except DerError as e:
        raise StationError("bad-answer", f"AWS answered with a certificate that cannot be read: {e}.", "Run it again.") from e
    except OSError as e:
        raise InputError("not-writable", f"{unit.certificate} cannot be written: {e.strerror}.", "Check the folder.") from e


def _check_files(unit: Registration, certificate_id: str) -> None:
    """AWS's id of a certificate is the SHA-256 of its DER: the file must be that one."""
    import hashlib

    found = hashlib.sha256(reading.certificates(unit.certificate)[0]).hexdigest()
    if found != certificate_id:
        raise InputError(
            "certificate-differs",
            f"{unit.certificate} is not the certificate that AWS has for {unit.device}.",
            "Move it away: the next run fetches the right one.",
        )


def _principals(aws: Aws, thing: str) -> list[str]:
    try:
        return [str(p) for p in aws.pages("list_thing_principals", "principals", thingName=thing)]
    except NotFound:
        return []


def _description(aws: Aws, certificate_id: str) -> dict[str, Any]:
    described: dict[str, Any] = aws.call("describe_certificate", certificateId=certificate_id)["certificateDescription"]
    return described


def _key_of(text: str) -> bytes:
    try:
        return der.certificate(certificates(str(text).encode())[0]).spki
    except DerError as e:
        raise StationError("bad-answer", f"AWS answered with a certificate that cannot be read: {e}.", "Run it again.") from e


def _seconds(value: Any) -> float:
    return value.astimezone(timezone.utc).timestamp() if isinstance(value, datetime) else float(value)
