"""Just-in-time provisioning: AWS is told of the factory's CA once; from then on devices with its certificates register themselves when they
first connect, so a line can work offline.

AWS wants proof that the CA's key is at hand: a certificate for the account's registration code, signed by the CA.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from provisioning.cloud.aws.client import Aws, NotFound
from provisioning.errors import InputError
from provisioning.trust import der, pem

_PROOF_DAYS = 2  # the proof is needed once


def template(policy: str, prefix: str = "") -> dict[str, Any]:
    """What AWS makes when a device with a certificate of this CA connects: thing, active certificate, policy.

    The thing is called like the certificate's common name, which a factory sets to the device's id.
    """
    name = {"Ref": "AWS::IoT::Certificate::CommonName"}
    return {
        "Parameters": {
            "AWS::IoT::Certificate::CommonName": {"Type": "String"},
            "AWS::IoT::Certificate::Id": {"Type": "String"},
        },
        "Resources": {
            "thing": {
                "Type": "AWS::IoT::Thing",
                "Properties": {"ThingName": {"Fn::Join": ["", [prefix, name]]} if prefix else name},
                "OverrideSettings": {"AttributePayload": "MERGE"},
            },
            "certificate": {
                "Type": "AWS::IoT::Certificate",
                "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "ACTIVE"},
            },
            "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": policy}},
        },
    }


def register_ca(aws: Aws, certificate: Path, key: Path, role_arn: str, policy: str, *, dry_run: bool = False) -> dict[str, Any]:
    """Register the CA with just-in-time provisioning switched on. Once: a CA that is there already is left as it is.

    Returns {"id", "arn", "registered": bool}. Raises InputError when the files are no CA and its key.
    """
    ca, ca_pem = _load(certificate)
    identifier = hashlib.sha256(ca.der).hexdigest()
    try:
        found = aws.call("describe_ca_certificate", certificateId=identifier)["certificateDescription"]
        return {"id": found["certificateId"], "arn": found["certificateArn"], "registered": False}
    except NotFound:
        pass
    if dry_run:
        _key_of(key, ca, certificate)
        return {"id": identifier, "arn": None, "registered": False}
    code = aws.call("get_registration_code")["registrationCode"]
    answer = aws.call(
        "register_ca_certificate",
        caCertificate=ca_pem,
        verificationCertificate=proof(ca, key, certificate, code),
        setAsActive=True,
        allowAutoRegistration=True,
        registrationConfig={"templateBody": json.dumps(template(policy)), "roleArn": role_arn},
    )
    return {"id": answer["certificateId"], "arn": answer["certificateArn"], "registered": True}


def proof(ca: der.Certificate, key: Path, certificate: Path, code: str) -> str:
    """A certificate (PEM) whose common name is the registration code, signed with the CA's key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    signer = _key_of(key, ca, certificate)
    now = datetime.now(timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, code)]))
        .issuer_name(x509.load_der_x509_certificate(ca.der).subject)
        .public_key(ec.generate_private_key(ec.SECP256R1()).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=_PROOF_DAYS))
    )
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def _load(file: Path) -> tuple[der.Certificate, str]:
    try:
        raw = pem.certificates(file.read_bytes())[0]
        ca = der.certificate(raw)
    except (OSError, der.DerError) as e:
        reason = getattr(e, "strerror", None) or str(e)
        raise InputError("bad-certificate", f"{file} is not a CA certificate: {reason}.", "Give the factory CA's PEM.") from e
    if not ca.may_sign:
        raise InputError(
            "not-a-ca", f"{file} ({ca.subject}) is not a CA: its CA flag is not set.", "Give the factory CA's own certificate."
        )
    return ca, pem.encode(raw).decode()


def _key_of(key: Path, ca: der.Certificate, certificate: Path) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from provisioning.cloud.aws import csr

    try:
        signer = load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as e:
        reason = getattr(e, "strerror", None) or "it is not an unencrypted PEM key"
        raise InputError("bad-key", f"{key} cannot be used: {reason}.", "Give the factory CA's private key.") from e
    if csr.public_der(signer) != ca.spki:
        raise InputError("key-mismatch", f"{key} is not the key of {certificate}.", "Give the key that belongs to the CA certificate.")
    return signer
