"""Fleet provisioning by claim, the account's side: a provisioning template, and a claim certificate that may do nothing but use it.

A line that has the claim certificate needs no credentials of the account: each device gets a certificate of its own by it
(fleet_provisioning.py). AWS's documents: "Provisioning devices that don't have device certificates using fleet provisioning".
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from provisioning.aws.certificates import Certificates, Holder, check_file, description, public_key, write_certificate
from provisioning.aws.iot_api import Aws, Exists, NotFound
from provisioning.aws.journal import Journal
from provisioning.aws.register import ensure_policy
from provisioning.errors import InputError
from provisioning.parsed import from_json

THING_NAME = "ThingName"  # the template's one parameter
CREATE = "$aws/certificates/create-from-csr/json"
_TEMPLATE_NAME = re.compile(r"[0-9A-Za-z_-]{1,36}")  # CreateProvisioningTemplate


def topic(template: str) -> str:
    """Where a device asks to be made a thing: RegisterThing of AWS's "Device provisioning MQTT API"."""
    return f"$aws/provisioning-templates/{template}/provision/json"


def template_body(policy: str) -> dict[str, Any]:
    """What AWS makes of a device: a thing of the name that it gives, its certificate active, and the devices' policy."""
    return {
        "Parameters": {THING_NAME: {"Type": "String"}, "AWS::IoT::Certificate::Id": {"Type": "String"}},
        "Resources": {
            "thing": {
                "Type": "AWS::IoT::Thing",
                "Properties": {"ThingName": {"Ref": THING_NAME}},
                "OverrideSettings": {"AttributePayload": "MERGE"},
            },
            "certificate": {
                "Type": "AWS::IoT::Certificate",
                "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "Active"},
            },
            "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": policy}},
        },
    }


def claim_policy(region: str, partition: str, template: str, account: str = "*") -> dict[str, Any]:
    """What the claim certificate may: connect, ask for a certificate, be made a thing by this template. Nothing else."""
    arn = f"arn:{partition}:iot:{region}:{account}"
    topics = (CREATE, topic(template))
    answers = [f"{name}/{end}" for name in topics for end in ("accepted", "rejected")]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "iot:Connect", "Resource": f"{arn}:client/{CLIENT_PREFIX}*"},
            {"Effect": "Allow", "Action": "iot:Publish", "Resource": [f"{arn}:topic/{name}" for name in topics]},
            {"Effect": "Allow", "Action": "iot:Receive", "Resource": [f"{arn}:topic/{name}" for name in answers]},
            {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": [f"{arn}:topicfilter/{name}" for name in answers]},
        ],
    }


CLIENT_PREFIX = "twinroot-claim-"  # client ids of lines: no device's name may begin so


def holder(folder: Path, template: str) -> Holder:
    """Where the claim certificate and its key are. No thing's name has a '/', so that the journal's line is nobody else's."""
    return Holder(f"claim/{template}", folder / f"{template}.key.pem", folder / f"{template}.crt.pem", template)


def check_template_name(name: str) -> None:
    if not _TEMPLATE_NAME.fullmatch(name):
        raise InputError(
            "bad-template-name",
            f"{name[:50]!r} cannot be the name of a provisioning template: AWS takes 1 to 36 letters, digits, '_' and '-'.",
            "Give another one with --template.",
        )


def prepare(aws: Aws, name: str, policy: str, role_arn: str, partition: str, claim: Holder, journal: Journal) -> list[str]:
    """See to it that template `name`, claim policy and claim certificate are there; what was made. Safe to repeat wherever it stopped.

    Raises InputError where the template is there and is another one.
    """
    check_template_name(name)
    done = ["template"] if _template(aws, name, policy, role_arn) else []
    own = f"{name}-claim"
    state = ensure_policy(aws, own, claim_policy(aws.region, partition, name))
    if state == "differs":
        raise InputError(
            "exists-differently",
            f"Policy {own} is there, and allows something else than a claim certificate needs.",
            "Look at it in AWS; remove it there, or name another template with --template.",
        )
    done += ["claim policy"] if state == "made" else []
    known = journal.of(claim.device)
    if "certificate" not in known:
        done += Certificates(aws, journal, time.time).have(claim, public_key(claim))
        known = journal.of(claim.device)
    elif not claim.certificate.exists():
        write_certificate(claim.certificate, description(aws, known["certificate"]["id"])["certificatePem"])
        done.append("certificate fetched")
    check_file(claim, known["certificate"]["id"])
    if "done" not in known:
        aws.call("attach_policy", policyName=own, target=known["certificate"]["arn"])
        journal.add(claim.device, "done")
        done.append("attached")
    return done


def _template(aws: Aws, name: str, policy: str, role_arn: str) -> bool:
    """Make the template when it is not there; whether it was made."""
    body = template_body(policy)
    try:
        found = aws.call("describe_provisioning_template", templateName=name)
    except NotFound:
        try:
            aws.call(
                "create_provisioning_template",
                templateName=name,
                description="Devices of twinroot, by claim",
                templateBody=json.dumps(body),
                enabled=True,
                provisioningRoleArn=role_arn,
                type="FLEET_PROVISIONING",
            )
            return True
        except Exists:  # another computer was faster, or an answer was lost and the request repeated
            found = aws.call("describe_provisioning_template", templateName=name)
    if wrong := template_differences(found, body, role_arn):
        raise InputError(
            "exists-differently",
            f"Provisioning template {name} is there, and {', '.join(wrong)}.",
            "Correct it in AWS, or name another one.",
        )
    return False


def template_differences(found: dict[str, Any], body: dict[str, Any], role_arn: str, kind: str = "FLEET_PROVISIONING") -> list[str]:
    """What of a provisioning template that AWS described is not as it should be, as ends of a sentence."""
    try:
        same = from_json(found["templateBody"]) == body
    except (TypeError, ValueError):
        same = False
    wrong = [] if same else ["makes something else of a device"]
    wrong += [] if found["enabled"] else ["is not enabled"]
    wrong += [] if found.get("provisioningRoleArn") == role_arn else [f"has the role {found.get('provisioningRoleArn')}"]
    return wrong + ([] if found.get("type", "FLEET_PROVISIONING") == kind else [f"is of the type {found.get('type')}"])
