"""Just-in-time provisioning: AWS is told of the factory's CA once; from then on devices with its certificates register themselves when they
first connect, so a line can work offline.

AWS wants proof that the CA's key is at hand: a certificate for the account's registration code, signed by the CA. A CA that is registered
for connections with SNI only needs none, and may be in several accounts of a region.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta, timezone
from typing import Any

from provisioning.aws.iot_api import Aws, NotFound
from provisioning.identity.keys import make_key
from provisioning.identity.signer import Authority

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


def register_ca(
    aws: Aws | None, ca: Authority, role_arn: str, policy: str, *, dry_run: bool = False, sni_only: bool = False
) -> dict[str, Any]:
    """Register the CA with just-in-time provisioning switched on. Once: a CA that is there already is left as it is.

    Returns {"id", "arn", "registered": bool}; "arn" is None when it would be registered. `aws` is None in a dry run that asks nothing.
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    identifier = hashlib.sha256(ca.certificate.public_bytes(Encoding.DER)).hexdigest()
    if aws is None:
        return {"id": identifier, "arn": None, "registered": False}
    try:
        found = aws.call("describe_ca_certificate", certificateId=identifier)["certificateDescription"]
        return {"id": found["certificateId"], "arn": found["certificateArn"], "registered": False}
    except NotFound:
        pass
    if dry_run:
        return {"id": identifier, "arn": None, "registered": False}
    if sni_only:
        mode: dict[str, Any] = {"certificateMode": "SNI_ONLY"}
    else:
        mode = {"verificationCertificate": proof(ca, aws.call("get_registration_code")["registrationCode"])}
    answer = aws.call(
        "register_ca_certificate",
        caCertificate=ca.certificate.public_bytes(Encoding.PEM).decode(),
        **mode,
        setAsActive=True,
        allowAutoRegistration=True,
        registrationConfig={"templateBody": json.dumps(template(policy)), "roleArn": role_arn},
    )
    return {"id": answer["certificateId"], "arn": answer["certificateArn"], "registered": True}


def proof(ca: Authority, code: str) -> str:
    """A certificate (PEM) whose common name is the registration code, signed with the CA's key (which may be in a token)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    now = datetime.now(timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, code)]))
        .issuer_name(ca.certificate.subject)
        .public_key(make_key("p256").public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=_PROOF_DAYS))
    )
    return builder.sign(ca.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
