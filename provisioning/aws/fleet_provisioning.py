"""Fleet provisioning by claim, the device's side, done on this host: a key, a request, a certificate, a thing. The key stays here.

AWS deletes a certificate that no thing got within an hour ("Device provisioning MQTT API"). So what AWS has answered is on the disk,
readable by its owner alone, before it is asked to make the thing; a run that was stopped goes on from there. The certificate's own file
is there only when AWS has said that the thing has it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from provisioning import atomic_files
from provisioning.aws import claim, csr
from provisioning.aws.certificates import Holder, key_of, write_certificate
from provisioning.aws.provisioning_mqtt import NotTaken, Place, Rejected, Session
from provisioning.aws.register import Result, check_names
from provisioning.errors import InputError, StationError
from provisioning.identity.files import KEY_MODE
from provisioning.identity.pair import load_pair
from provisioning.parsed import from_json

TOKEN_SECONDS = 3600 - 300  # AWS's hour, and what this computer's clock and the way there may take


def provision(
    session: Session,
    place: Place,
    template: str,
    units: Iterable[Holder],
    progress: Callable[[Result], None] = lambda _: None,
    now: Callable[[], float] = time.time,
) -> list[Result]:
    """A row for each unit, over one connection of the claim certificate. What AWS rejects, and what is wrong with one device's files, is
    its row's error; what is wrong with the connection is raised, and the next run goes on where this one stopped."""
    rows = []
    for unit in units:
        try:
            result = _one(session, place, template, unit, now)
        except InputError as e:
            result = Result(unit.device, "error", message=e.message, hint=e.hint)
        rows.append(result)
        progress(result)
    return rows


def _one(session: Session, place: Place, template: str, unit: Holder, now: Callable[[], float]) -> Result:
    check_names(unit)
    if unit.certificate.exists():
        if unit.key.exists():
            load_pair(unit.certificate, unit.key)
        return Result(unit.device, "pass")
    done: list[str] = []
    pending = _pending(unit, now())
    if pending is None:
        pending = _certificate(session, unit, now())
        done.append("certificate")
    try:
        _register(session, template, unit, pending)
    except Rejected as e:
        if "token" not in e.reason.lower() or "certificate" in done:
            raise
        # The token is over, or it was used and the answer was lost: then the certificate connects.
        if not _connects(place, unit, pending):
            _file(unit).unlink(missing_ok=True)
            pending = _certificate(session, unit, now())
            done.append("certificate")
            _register(session, template, unit, pending)
    write_certificate(unit.certificate, pending["certificatePem"])
    _file(unit).unlink(missing_ok=True)
    return Result(unit.device, "pass", pending["certificateId"], (*done, "thing"))


def _certificate(session: Session, unit: Holder, at: float) -> dict[str, Any]:
    key = csr.load_or_make_key(unit.key)
    asked = {"certificateSigningRequest": csr.request_for(key, unit.common_name)}
    answer = session.ask(claim.CREATE, f"the request for a certificate of {unit.device}", asked)
    found = {name: _text(answer, name, unit) for name in ("certificateId", "certificatePem", "certificateOwnershipToken")}
    if key_of(found["certificatePem"]) != csr.public_der(key):
        raise StationError("wrong-key", f"AWS answered {unit.device} with a certificate of another key.", "Do not use it; ask AWS.")
    pending = {**found, "at": int(at)}
    try:
        _file(unit).parent.mkdir(parents=True, exist_ok=True)
        atomic_files.replace(_file(unit), json.dumps(pending).encode(), KEY_MODE)  # the token is worth a certificate for an hour
    except OSError as e:
        raise StationError("cannot-write", f"{_file(unit)} cannot be written: {e.strerror}.", "Check the disk; run it again.") from e
    return pending


def _register(session: Session, template: str, unit: Holder, pending: dict[str, Any]) -> None:
    question = {"certificateOwnershipToken": pending["certificateOwnershipToken"], "parameters": {claim.THING_NAME: unit.device}}
    answer = session.ask(claim.topic(template), f"thing {unit.device}", question)
    if answer.get("thingName") != unit.device:
        raise StationError(
            "unexpected-thing",
            f"Template {template} made thing {str(answer.get('thingName'))[:128]!r} of {unit.device}: it is another template.",
            "Name the template that `twinroot aws claim prepare` made.",
        )


def _file(unit: Holder) -> Path:
    return unit.certificate.with_name(f".{unit.certificate.name}.claim")


def _pending(unit: Holder, now: float) -> dict[str, Any] | None:
    """A certificate that was made and has no thing yet, while its token is good and its key is here."""
    with suppress(OSError, ValueError, KeyError, TypeError, StationError):
        found: dict[str, Any] = from_json(_file(unit).read_bytes())
        fresh = 0 <= now - found["at"] < TOKEN_SECONDS
        if fresh and unit.key.exists() and key_of(found["certificatePem"]) == csr.public_der(csr.load_or_make_key(unit.key)):
            return {name: found[name] for name in ("certificateId", "certificatePem", "certificateOwnershipToken")}
    return None


def _connects(place: Place, unit: Holder, pending: dict[str, Any]) -> bool:
    """Whether AWS takes the certificate under the device's name, which it does when it made the thing."""
    trial = unit.certificate.with_name(f".{unit.certificate.name}.trial")
    trial.unlink(missing_ok=True)  # of a run that was killed
    write_certificate(trial, pending["certificatePem"])
    try:
        Session(place, trial, unit.key, unit.device).close()
    except NotTaken:
        return False
    finally:
        trial.unlink(missing_ok=True)
    return True


def _text(answer: dict[str, Any], name: str, unit: Holder) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise StationError("bad-answer", f"AWS's answer for {unit.device} is one without {name}.", "Run it again.")
    return value
