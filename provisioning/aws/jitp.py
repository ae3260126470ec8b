"""Just-in-time provisioning that works at the first try: everything that AWS needs for it, looked at before a line starts.

What AWS needs ("Just-in-time provisioning" of its developer guide): the CA active and with automatic registration, a template that makes
thing, certificate and policy, a role that AWS IoT may take and that may do so, and devices that send the endpoint's name (SNI), as these
do: the CA's certificate behind the device's own is optional then. AWS closes the connection by which a device introduces itself.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from provisioning.aws.claim import template_differences
from provisioning.aws.factory_ca import register_ca, template
from provisioning.aws.iot_api import Aws, Denied, NotFound
from provisioning.identity.signer import Authority
from provisioning.parsed import from_json

PERMISSIONS = "AWSIoTThingsRegistration"  # AWS's own policy for such roles
SERVICE = "iot.amazonaws.com"


@dataclass(frozen=True)
class Finding:
    """`state`: "ok", "missing" (devices are refused), or "unknown" (it could not be looked at). `message`: what is, for people."""

    subject: str
    state: str
    message: str = ""

    @property
    def complete(self) -> bool:
        return self.state != "missing"


def check(aws: Aws, ca: Authority, policy: str, role_arn: str | None = None) -> list[Finding]:
    """A finding for each thing that just-in-time provisioning needs, with questions only. `role_arn`: the role that it should be; None:
    whichever the CA names."""
    found = _described(aws, ca)
    return [*_ca(aws, ca, found, policy, role_arn), _policy(aws, policy), *_role(aws, role_arn or _role_of(aws, found))]


def prepare(aws: Aws, ca: Authority, policy: str, role_arn: str, *, sni_only: bool = False) -> list[str]:
    """Register the CA, or put right what of it `check` calls missing; what was done. The policy and the role are others' to make."""
    found = _described(aws, ca)
    if found is None:
        register_ca(aws, ca, role_arn, policy, sni_only=sni_only)
        return ["CA registered"]
    described, config = found["certificateDescription"], found.get("registrationConfig") or {}
    changes: dict[str, Any] = {}
    if described["status"] != "ACTIVE":
        changes["newStatus"] = "ACTIVE"
    if described.get("autoRegistrationStatus") != "ENABLE":
        changes["newAutoRegistrationStatus"] = "ENABLE"
    if _template_problems(aws, config, policy, role_arn):
        changes["registrationConfig"] = {"templateBody": json.dumps(template(policy)), "roleArn": role_arn}
    if changes:
        aws.call("update_ca_certificate", certificateId=_id(ca), **changes)
    return [_DONE[name] for name in changes]


_DONE = {"newStatus": "CA activated", "newAutoRegistrationStatus": "automatic registration on", "registrationConfig": "template and role"}


def _id(ca: Authority) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return hashlib.sha256(ca.certificate.public_bytes(Encoding.DER)).hexdigest()


def _described(aws: Aws, ca: Authority) -> dict[str, Any] | None:
    try:
        return aws.call("describe_ca_certificate", certificateId=_id(ca))
    except NotFound:
        return None


def _ca(aws: Aws, ca: Authority, found: dict[str, Any] | None, policy: str, role_arn: str | None) -> list[Finding]:
    if ca.certificate.not_valid_after_utc <= datetime.now(timezone.utc):
        return [Finding("CA", "missing", f"its certificate ended on {ca.certificate.not_valid_after_utc:%Y-%m-%d}: make another one")]
    if found is None:
        return [Finding("CA", "missing", f"it is not registered in {aws.region}")]
    described, config = found["certificateDescription"], found.get("registrationConfig") or {}
    active = described["status"] == "ACTIVE"
    automatic = described.get("autoRegistrationStatus") == "ENABLE"
    problems = _template_problems(aws, config, policy, role_arn)
    return [
        Finding("CA", "ok" if active else "missing", "" if active else f"its status is {described['status']}"),
        Finding("automatic registration", "ok" if automatic else "missing", "" if automatic else "it is off for this CA"),
        Finding("template", "missing" if problems else "ok", ", ".join(problems)),
    ]


def _template_problems(aws: Aws, config: dict[str, Any], policy: str, role_arn: str | None) -> list[str]:
    """What of the CA's template, by itself or by its name, is not as it should be."""
    wanted = template(policy)
    if name := config.get("templateName"):
        try:
            found = aws.call("describe_provisioning_template", templateName=name)
        except NotFound:
            return [f"there is no template {name}"]
        return [f"{name} {what}" for what in template_differences(found, wanted, role_arn or found.get("provisioningRoleArn", ""), "JITP")]
    if not config.get("templateBody"):
        return ["the CA has none"]
    try:
        same = from_json(config["templateBody"]) == wanted
    except (TypeError, ValueError):
        same = False
    problems = [] if same else [f"it makes something else of a device than a thing with its name, certificate and policy {policy}"]
    if not config.get("roleArn"):
        return [*problems, "it has no role"]
    return problems + ([f"its role is {config['roleArn']}"] if role_arn and config["roleArn"] != role_arn else [])


def _role_of(aws: Aws, found: dict[str, Any] | None) -> str | None:
    config = (found or {}).get("registrationConfig") or {}
    if name := config.get("templateName"):
        try:
            return str(aws.call("describe_provisioning_template", templateName=name).get("provisioningRoleArn") or "") or None
        except NotFound:
            return None
    return config.get("roleArn")


def _policy(aws: Aws, policy: str) -> Finding:
    try:
        aws.call("get_policy", policyName=policy)
    except NotFound:
        return Finding("policy", "missing", f"there is no policy {policy} in {aws.region}")
    return Finding("policy", "ok")


def _role(aws: Aws, arn: str | None) -> list[Finding]:
    """The role by IAM, which not everybody may ask."""
    if not arn:
        return [Finding("role", "missing", "none is named")]
    name = arn.rpartition("/")[2]
    try:
        role = aws.call("get_role", service="iam", RoleName=name)["Role"]
        attached = [row["PolicyName"] for row in aws.call("list_attached_role_policies", service="iam", RoleName=name)["AttachedPolicies"]]
    except NotFound:
        return [Finding("role", "missing", f"there is no role {name} in this account")]
    except Denied as e:
        return [Finding("role", "unknown", f"{name} was not looked at: {e.message}")]
    if not _trusts(role.get("AssumeRolePolicyDocument")):
        return [Finding("role", "missing", f"{name} does not let {SERVICE} take it")]
    if PERMISSIONS not in attached:
        return [Finding("role", "unknown", f"{name} has not AWS's policy {PERMISSIONS}; whether its own allow as much was not looked at")]
    return [Finding("role", "ok")]


def _trusts(document: Any) -> bool:
    """Does a role's policy let AWS IoT take it?"""
    try:
        statements = (from_json(document) if isinstance(document, str) else document)["Statement"]
        for statement in statements if isinstance(statements, list) else [statements]:
            services = statement.get("Principal", {}).get("Service", ())
            if statement.get("Effect") == "Allow" and SERVICE in ([services] if isinstance(services, str) else services):
                return True
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    return False
