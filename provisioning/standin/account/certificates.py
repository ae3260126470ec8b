"""Device certificates as the registry has them: whose they are and which thing they are attached to."""

from __future__ import annotations

import hashlib
import ssl

from provisioning.standin.account.faults import invalid, not_found
from provisioning.standin.account.operations import Operations, Params, Result, page
from provisioning.standin.account.registry import thing
from provisioning.standin.account.state import AccountState
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
