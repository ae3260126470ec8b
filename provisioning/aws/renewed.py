"""Renewed certificates in AWS: registered beside the old ones, which are deactivated when the device has been seen with the new one.

AWS's id of a certificate is the SHA-256 of its DER, so that each request here may be repeated: stopped anywhere, the same run goes on.
A certificate is deactivated, never deleted: `aws iot update-certificate --new-status ACTIVE` brings it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from provisioning.aws.certificates import ACTIVE, as_it_is, described, knows_ca
from provisioning.aws.iot_api import Aws
from provisioning.aws.parallel import WORKERS, each
from provisioning.aws.register import Registration, Result
from provisioning.errors import InputError
from provisioning.identity import renewal
from provisioning.identity.pair import load_certificate
from provisioning.trust import der

SEEN = "c"  # of telemetry: the first digits of the SHA-256 of the certificate in use (firmware/twinroot/telemetry.py)
_DIGITS = 8


def register(
    aws: Aws,
    units: Iterable[Registration],
    policy: str,
    ca: bytes | None = None,
    progress: Callable[[Result], None] = lambda _: None,
    workers: int = WORKERS,
) -> list[Result]:
    """Register the certificate of each unit beside the one that it replaces; with that one's policies, `policy` where it has none.

    `ca`: DER of the CA that signed them; where the account does not know it, they are registered without one. What is wrong with one device
    is its row's error."""
    known = ca is not None and knows_ca(aws, ca)

    def one(unit: Registration) -> Result:
        try:
            return _register(aws, unit, policy, ca if known else None)
        except InputError as error:
            return Result(unit.device, "error", message=error.message, hint=error.hint)

    rows = []
    for row in each(one, units, workers):
        progress(row)
        rows.append(row)
    return rows


def retire(
    aws: Aws,
    units: Iterable[Registration],
    seen: Mapping[str, Mapping[str, Any]],
    progress: Callable[[Result], None] = lambda _: None,
    workers: int = WORKERS,
    *,
    dry_run: bool = False,
) -> list[Result]:
    """Deactivate what each unit's certificate has replaced. `seen`: thing -> its newest telemetry. One that does not name the new
    certificate, in a set that is proven, is no evidence: nothing is changed then (outcome "waiting")."""

    def one(unit: Registration) -> Result:
        try:
            return _retire(aws, unit, seen.get(unit.device) or {}, dry_run=dry_run)
        except InputError as error:
            return Result(unit.device, "error", message=error.message, hint=error.hint)

    rows = []
    for row in each(one, units, workers):
        progress(row)
        rows.append(row)
    return rows


def replaced(unit: Registration) -> list[der.Certificate]:
    """What lies aside of the unit's earlier certificates."""
    start, folder = renewal.beside(unit.certificate, renewal.REPLACED).name, unit.certificate.parent
    paths = sorted(path for path in folder.iterdir() if path.name.startswith(start)) if folder.is_dir() else []
    return [renewal.leaf(load_certificate(path), path) for path in paths]


def _register(aws: Aws, unit: Registration, policy: str, ca: bytes | None) -> Result:
    new, olds = _both(unit)
    done: list[str] = []
    name = renewal.fingerprint(new)
    found = described(aws, name)
    if found is None:
        arn, made = as_it_is(aws, new.der, ca)
        done += ["certificate"] if made else []
    elif found["status"] != ACTIVE:
        raise InputError(
            "certificate-inactive",
            f"{unit.device}'s new certificate is in AWS, and is {found['status']} there.",
            "Find out who did that; `aws iot update-certificate` activates it.",
        )
    else:
        arn = found["certificateArn"]
    names: set[str] = set()
    for old in olds:
        before = described(aws, renewal.fingerprint(old))
        if before is not None:
            names |= _policies(aws, before["certificateArn"])
    for each_name in sorted((names or {policy}) - _policies(aws, arn)):
        aws.call("attach_policy", policyName=each_name, target=arn)
        done.append(f"policy {each_name}")
    if arn not in aws.pages("list_thing_principals", "principals", thingName=unit.device):
        aws.call("attach_thing_principal", thingName=unit.device, principal=arn)
        done.append("attached")
    return Result(unit.device, "pass", name, tuple(done))


def _retire(aws: Aws, unit: Registration, said: Mapping[str, Any], *, dry_run: bool) -> Result:
    new, olds = _both(unit)
    name = renewal.fingerprint(new)
    last = said.get(SEEN)
    if last != name[:_DIGITS]:
        what = f"reports certificate {last}" if isinstance(last, str) else "has not reported a certificate"
        return Result(unit.device, "waiting", name, message=f"{what[:60]}; the new one begins with {name[:_DIGITS]}.")
    if said.get("p") != said.get("s"):
        return Result(unit.device, "waiting", name, message="its set with the new certificate has not proven itself.")
    found = described(aws, name)
    if found is None or found["status"] != ACTIVE:
        raise InputError(
            "certificate-inactive",
            f"{unit.device}'s new certificate is not active in AWS, so the old one stays.",
            "`twinroot aws register PRODUCT --renewed` first.",
        )
    done = []
    for old in olds:
        if old.der == new.der:
            continue
        before = described(aws, renewal.fingerprint(old))
        if before is not None and before["status"] == ACTIVE:
            if not dry_run:
                aws.call("update_certificate", certificateId=before["certificateId"], newStatus="INACTIVE")
            done.append(f"{before['certificateId'][:_DIGITS]} deactivated")
    return Result(unit.device, "pass", name, tuple(done))


def _both(unit: Registration) -> tuple[der.Certificate, list[der.Certificate]]:
    new, olds = renewal.leaf(load_certificate(unit.certificate), unit.certificate), replaced(unit)
    if not olds:
        raise InputError(
            "nothing-renewed",
            f"{unit.device} has no renewed certificate here.",
            "docs/renewal.md says how one is made, and where it lies beside the one that it replaces.",
        )
    return new, olds


def _policies(aws: Aws, arn: str) -> set[str]:
    return {str(row["policyName"]) for row in aws.pages("list_attached_policies", "policies", target=arn)}
