"""Device certificates as the registry has them: whose they are, which thing they are attached to; policies, which nothing here enforces."""

from __future__ import annotations

import hashlib
import json
import ssl

from provisioning.standin.account.faults import Fault, invalid, not_found
from provisioning.standin.account.model import moment
from provisioning.standin.account.operations import Operations, Params, Result, page
from provisioning.standin.account.registry import thing
from provisioning.standin.account.state import ACCOUNT_ID, AccountState
from provisioning.standin.account.store import Record
from provisioning.standin.account.things import make_thing

OPERATIONS = Operations("iot")
_carries = OPERATIONS.carries


def identifier(pem: str) -> str:
    """A certificate's id: the SHA-256 of its DER in hexadecimal."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERTIFICATE") :])).hexdigest()


def certificate_arn(account: AccountState, name: str) -> str:
    return account.arn(f"cert/{name}")


def add(account: AccountState, pem: str, status: str = "ACTIVE") -> Record:
    """A certificate that the account's CA has signed."""
    name = identifier(pem)
    record = {"id": name, "pem": pem, "status": status, "at": account.now()}
    return account.table("certificates").get(name) or account.table("certificates").put(name, record=record)


def attach(account: AccountState, name: str, certificate: str) -> None:
    account.table("principals").put(name, certificate, record={"thing": name, "certificate": certificate})


def issued(account: AccountState, device: str, pem: str) -> None:
    """What the stand-in issued is registered at once: the thing, the certificate, one attached to the other."""
    with account.transaction():
        if account.table("things").get(device) is None:
            make_thing(account, device)
        attach(account, device, add(account, pem)["id"])


def certificate(account: AccountState, name: str) -> Record:
    found = account.table("certificates").get(name)
    if found is None:
        raise not_found(f"Certificate {name} not found")
    return found


def _principal(account: AccountState, arn: str) -> Record:
    name = arn.rpartition("/")[2]
    if arn != certificate_arn(account, name):
        raise invalid(f"{arn} is not the ARN of a certificate of this account")
    return certificate(account, name)


@_carries("AttachThingPrincipal", "thingName principal")
def attach_thing_principal(account: AccountState, params: Params) -> Result:
    attach(account, thing(account, params["thingName"])["name"], _principal(account, params["principal"])["id"])
    return {}


@_carries("DetachThingPrincipal", "thingName principal")
def detach_thing_principal(account: AccountState, params: Params) -> Result:
    key = thing(account, params["thingName"])["name"], _principal(account, params["principal"])["id"]
    if key in account.table("principals"):
        account.table("principals").delete(*key)
    return {}


@_carries("ListThingPrincipals", "thingName nextToken maxResults")
def list_thing_principals(account: AccountState, params: Params) -> Result:
    found = account.table("principals").where("thing", thing(account, params["thingName"])["name"])
    shown, token = page([certificate_arn(account, each["certificate"]) for each in found], params)
    return {"principals": shown, "nextToken": token}


@_carries("ListPrincipalThings", "principal nextToken maxResults")
def list_principal_things(account: AccountState, params: Params) -> Result:
    found = account.table("principals").where("certificate", _principal(account, params["principal"])["id"])
    shown, token = page([each["thing"] for each in found], params)
    return {"things": shown, "nextToken": token}


# -- certificates and policies, as much as `twinroot aws register` asks for ---------------------------------------------------


@_carries("DescribeCertificate", "certificateId")
def describe_certificate(account: AccountState, params: Params) -> Result:
    record = certificate(account, params["certificateId"])
    return {
        "certificateDescription": {
            **_row(account, record),
            "certificatePem": record["pem"],
            "ownedBy": ACCOUNT_ID,
            "lastModifiedDate": moment(record["at"]),
            "certificateMode": "DEFAULT",
        }
    }


def _row(account: AccountState, record: Record) -> Result:
    return {
        "certificateArn": certificate_arn(account, record["id"]),
        "certificateId": record["id"],
        "status": record["status"],
        "creationDate": moment(record["at"]),
    }


@_carries("ListCertificates", "pageSize marker ascendingOrder")
def list_certificates(account: AccountState, params: Params) -> Result:
    found = account.table("certificates").values()
    if not params.get("ascendingOrder"):
        found.reverse()
    position = {"nextToken": params["marker"]} if "marker" in params else {}
    shown, token = page(found, {"maxResults": params.get("pageSize"), **position})
    return {"certificates": [_row(account, record) for record in shown], "nextMarker": token}


@_carries("CreateCertificateFromCsr", "certificateSigningRequest setAsActive")
def create_certificate_from_csr(account: AccountState, params: Params) -> Result:
    try:
        pem = account.sign(params["certificateSigningRequest"])
    except ValueError as error:
        raise invalid(f"The certificate signing request cannot be used: {error}") from error
    record = add(account, pem, "ACTIVE" if params.get("setAsActive") else "INACTIVE")
    name = record["id"]
    return {"certificateArn": certificate_arn(account, name), "certificateId": name, "certificatePem": pem}


@_carries("UpdateCertificate", "certificateId newStatus")
def update_certificate(account: AccountState, params: Params) -> Result:
    account.table("certificates").change(certificate(account, params["certificateId"])["id"], status=params["newStatus"])
    return {}


@_carries("DeleteCertificate", "certificateId forceDelete")
def delete_certificate(account: AccountState, params: Params) -> Result:
    record = certificate(account, params["certificateId"])
    if record["status"] == "ACTIVE":
        raise Fault("CertificateStateException", f"Certificate {record['id']} must be deactivated before it is deleted")
    arn = certificate_arn(account, record["id"])
    attached = account.table("attached").where("target", arn)
    if account.table("principals").where("certificate", record["id"]) or (attached and not params.get("forceDelete")):
        raise Fault("DeleteConflictException", f"Things or policies are attached to certificate {record['id']}")
    for each in attached:
        account.table("attached").delete(each["policy"], arn)
    account.table("certificates").delete(record["id"])
    return {}


def _policy(account: AccountState, name: str) -> Record:
    found = account.table("policies").get(name)
    if found is None:
        raise not_found(f"Policy {name} not found")
    return found


@_carries("CreatePolicy", "policyName policyDocument")
def create_policy(account: AccountState, params: Params) -> Result:
    name, text = params["policyName"], params["policyDocument"]
    try:
        whole = isinstance(json.loads(text).get("Statement"), list)
    except (ValueError, AttributeError):
        whole = False
    if not whole:
        raise Fault("MalformedPolicyException", "The policy document is not one")
    if account.table("policies").get(name) is not None:
        raise Fault(
            "ResourceAlreadyExistsException", f"Policy {name} already exists", resourceId=name, resourceArn=account.arn(f"policy/{name}")
        )
    account.table("policies").put(name, record={"name": name, "document": text, "at": account.now()})
    return {"policyName": name, "policyArn": account.arn(f"policy/{name}"), "policyDocument": text, "policyVersionId": "1"}


@_carries("GetPolicy", "policyName")
def get_policy(account: AccountState, params: Params) -> Result:
    record = _policy(account, params["policyName"])
    return {
        "policyName": record["name"],
        "policyArn": account.arn(f"policy/{record['name']}"),
        "policyDocument": record["document"],
        "defaultVersionId": "1",
        "creationDate": moment(record["at"]),
        "lastModifiedDate": moment(record["at"]),
    }


@_carries("AttachPolicy", "policyName target")
def attach_policy(account: AccountState, params: Params) -> Result:
    name = _policy(account, params["policyName"])["name"]
    _principal(account, params["target"])
    account.table("attached").put(name, params["target"], record={"policy": name, "target": params["target"]})
    return {}


@_carries("DetachPolicy", "policyName target")
def detach_policy(account: AccountState, params: Params) -> Result:
    key = _policy(account, params["policyName"])["name"], params["target"]
    if key in account.table("attached"):
        account.table("attached").delete(*key)
    return {}


@_carries("ListAttachedPolicies", "target recursive marker pageSize")
def list_attached_policies(account: AccountState, params: Params) -> Result:
    found = [each["policy"] for each in account.table("attached").where("target", params["target"])]
    position = {"nextToken": params["marker"]} if "marker" in params else {}
    shown, token = page(found, {"maxResults": params.get("pageSize"), **position})
    return {"policies": [{"policyName": each, "policyArn": account.arn(f"policy/{each}")} for each in shown], "nextMarker": token}


@_carries("DescribeEndpoint", "endpointType")
def describe_endpoint(account: AccountState, params: Params) -> Result:
    place = account.place
    kinds = {
        "iot:Data-ATS": place.endpoint_ats,
        "iot:Data": place.endpoint_legacy,
        "iot:CredentialProvider": f"{place.prefix}.credentials.{place.domain}",
        "iot:Jobs": f"{place.prefix}.jobs.{place.domain}",
    }
    kind = params.get("endpointType", "iot:Data")
    if kind not in kinds:
        raise invalid(f"Endpoint type {kind} is not one")
    return {"endpointAddress": kinds[kind]}
