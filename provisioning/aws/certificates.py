"""A certificate from a request, once: the key is made here and stays here, and AWS is not asked twice for one.

AWS makes another certificate each time it is asked. So the journal says that it is about to be asked, and where an answer was lost the
certificates made since are looked through for the one with this key.

A certificate that lies here is never replaced: boards may hold it. AWS's id of a certificate is the SHA-256 of its DER, so AWS can be asked
whether it has that very one.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from provisioning.aws import csr
from provisioning.aws.iot_api import Aws, Exists, LostAnswer, NotFound
from provisioning.aws.journal import Journal
from provisioning.errors import InputError, StationError
from provisioning.identity import reading
from provisioning.identity.files import PUBLIC_MODE, write_new
from provisioning.pem.read import certificates, encode
from provisioning.pem.tlv import DerError
from provisioning.trust import der

COMMON_NAME_LIMIT = 64  # characters (RFC 5280, appendix A.1); things have twice as many
# How far this computer's clock may be behind AWS's when looking for a certificate that was made since.
_CLOCK_SLACK = 900  # seconds
_PAGE = 250  # certificates a page: AWS's maximum
ACTIVE = "ACTIVE"


@dataclass(frozen=True)
class Holder:
    """Who gets a certificate: the name (a thing's, which is the client id), where key and certificate lie here, and the certificate's
    common name where the thing's is too long for one."""

    device: str
    key: Path
    certificate: Path
    short: str = ""

    @property
    def common_name(self) -> str:
        return self.device if len(self.device) <= COMMON_NAME_LIMIT else self.short


class Certificates:
    """Certificates of one run, for as many threads as ask, each for a holder of its own."""

    def __init__(self, aws: Aws, journal: Journal, now: Callable[[], float]) -> None:
        self._aws, self._journal, self._now = aws, journal, now
        self._seen: dict[str, tuple[bytes, dict[str, Any]]] = {}  # id -> key and description: each is asked for once
        self._lock = threading.Lock()

    def have(self, holder: Holder, wanted: bytes, found: dict[str, Any] | None = None) -> list[str]:
        """See to it that file and journal have the certificate of the public key `wanted` (DER). `found` is one that AWS is known to have.
        The steps that were taken: ["certificate"], or none where AWS had it. Raises LostAnswer, StationError, and InputError where another
        certificate lies in the file."""
        made = []
        if found is None and holder.certificate.exists():
            name = hashlib.sha256(own(holder).der).hexdigest()
            found = described(self._aws, name) or not_in_aws(holder, self._aws.region)
        request = self._journal.of(holder.device).get("request")
        if found is None and request:
            found = self._since(wanted, request["at"])
        if found is None:
            found = self._make(holder, wanted)
            made = ["certificate"]
        if key_of(found["certificatePem"]) != wanted:
            raise StationError("wrong-key", f"AWS answered {holder.device} with a certificate of another key.", "Do not use it; ask AWS.")
        # The certificate first, then the line that says so: a line never speaks of a file that is not there.
        write_certificate(holder.certificate, found["certificatePem"])
        self._journal.add(holder.device, "certificate", id=found["certificateId"], arn=found["certificateArn"])
        return made

    def _make(self, holder: Holder, wanted: bytes) -> dict[str, Any]:
        request = csr.request_for(csr.load_or_make_key(holder.key), holder.common_name)
        since = self._journal.of(holder.device).get("request", {}).get("at")
        if since is None:
            since = int(self._now())
            self._journal.add(holder.device, "request", at=since)
        try:
            return self._aws.call("create_certificate_from_csr", repeatable=False, certificateSigningRequest=request, setAsActive=True)
        except LostAnswer:
            found = self._since(wanted, since)
            if found is None:
                raise
            return found

    def _since(self, wanted: bytes, at: float) -> dict[str, Any] | None:
        """The certificate with this key among those made since `at` (Unix time), newest first, that nobody has."""
        for row in self._aws.pages("list_certificates", "certificates", pageSize=_PAGE, ascendingOrder=False):
            if _seconds(row["creationDate"]) < at - _CLOCK_SLACK:
                return None
            if not self._journal.has(row["certificateId"]):
                key, described = self._described(row["certificateId"])
                if key == wanted:
                    return described
        return None

    def _described(self, certificate_id: str) -> tuple[bytes, dict[str, Any]]:
        with self._lock:
            known = self._seen.get(certificate_id)
        if known is None:
            found = description(self._aws, certificate_id)
            known = key_of(found["certificatePem"]), found
            with self._lock:
                self._seen[certificate_id] = known
        return known


def public_key(holder: Holder) -> bytes:
    """The holder's public key (DER): of its certificate, else of its key, which is made when there is none. Raises InputError,
    StationError."""
    return own(holder).spki if holder.certificate.exists() else csr.public_der(csr.load_or_make_key(holder.key))


def own(holder: Holder) -> der.Certificate:
    """The certificate in the holder's file, of its key where that is here: it may have gone to its device. Raises InputError."""
    try:
        found = der.certificate(reading.certificates(holder.certificate)[0])
    except DerError as e:
        raise InputError("certificate-file", f"{holder.certificate} is damaged: {e}.", "Restore it.") from e
    if holder.key.exists() and csr.public_der(csr.load_or_make_key(holder.key)) != found.spki:
        raise InputError(
            "key-mismatch",
            f"{holder.key} is not the key of the certificate {holder.certificate}.",
            "Find out which of the two its board has (`twinroot verify`), and lay the other one aside.",
        )
    return found


def write_certificate(file: Path, text: str) -> None:
    """Put the certificate that AWS answered (PEM) into `file`, where nothing or that one is. Raises InputError, StationError."""
    try:
        answered = certificates(str(text).encode())[0]
    except DerError as e:
        raise _unreadable(e) from e
    if not file.exists():
        write_new(file, encode("CERTIFICATE", answered), PUBLIC_MODE)
    elif reading.certificates(file)[0] != answered:
        raise another(file, "the one that AWS answered")


def as_it_is(aws: Aws, certificate: bytes, ca: bytes | None) -> tuple[str, bool]:
    """Have AWS take a certificate (DER) that it did not make, active; its ARN, and whether it is new there. Safe to repeat.

    `ca`: DER of the one that signed it, which the account knows; None: AWS takes it without one, and its device has to send the endpoint's
    name."""
    text = encode("CERTIFICATE", certificate).decode()
    try:
        if ca is None:
            made = aws.call("register_certificate_without_ca", certificatePem=text, status=ACTIVE)
        else:
            made = aws.call("register_certificate", certificatePem=text, caCertificatePem=encode("CERTIFICATE", ca).decode(), status=ACTIVE)
    except Exists:  # by another run, or by a connection of the device's
        return str(description(aws, hashlib.sha256(certificate).hexdigest())["certificateArn"]), False
    return str(made["certificateArn"]), True


def knows_ca(aws: Aws, ca: bytes) -> bool:
    """Whether the account has this CA (DER)."""
    try:
        aws.call("describe_ca_certificate", certificateId=hashlib.sha256(ca).hexdigest())
    except NotFound:
        return False
    return True


def not_in_aws(holder: Holder, region: str) -> dict[str, Any]:
    raise InputError(
        "unknown-certificate",
        f"{holder.certificate} is there, and AWS in {region} does not have that certificate. It stays: boards may hold it.",
        "Another account or region? Else move it away, with its key, when no board has it: AWS makes another one then.",
    )


def another(file: Path, wanted: str) -> InputError:
    return InputError(
        "certificate-differs",
        f"{file} is not {wanted}. It stays: boards may hold it.",
        "Find out which one the board has (`twinroot verify`). Where it is AWS's, move the file away: the next run fetches that.",
    )


def check_file(holder: Holder, certificate_id: str) -> None:
    """AWS's id of a certificate is the SHA-256 of its DER: the file must be that one."""
    if hashlib.sha256(reading.certificates(holder.certificate)[0]).hexdigest() != certificate_id:
        raise another(holder.certificate, f"the certificate that was registered for {holder.device}")


def described(aws: Aws, certificate_id: str) -> dict[str, Any] | None:
    """What AWS knows of a certificate, None where it has no such one."""
    try:
        return description(aws, certificate_id)
    except NotFound:
        return None


def description(aws: Aws, certificate_id: str) -> dict[str, Any]:
    """What AWS knows of a certificate. Raises NotFound."""
    described: dict[str, Any] = aws.call("describe_certificate", certificateId=certificate_id)["certificateDescription"]
    return described


def key_of(text: str) -> bytes:
    """The public key (DER) of a certificate (PEM) that AWS answered."""
    try:
        return der.certificate(certificates(str(text).encode())[0]).spki
    except DerError as e:
        raise _unreadable(e) from e


def _unreadable(error: DerError) -> StationError:
    return StationError("bad-answer", f"AWS answered with a certificate that cannot be read: {error}.", "Run it again.")


def _seconds(value: Any) -> float:
    return value.astimezone(timezone.utc).timestamp() if isinstance(value, datetime) else float(value)
