"""What a host name says about an AWS IoT endpoint: class, region, partition, the other endpoint of its pair, the roots that may anchor it.

    PREFIX-ats.iot.REGION.DOMAIN           ats           the -ats ends the first label
    PREFIX.iot.REGION.DOMAIN               legacy        most likely VeriSign
    PREFIX.credentials.iot.REGION.DOMAIN   credentials
    PREFIX.jobs.iot.REGION.DOMAIN          jobs
    data.iot-fips.REGION.DOMAIN            fips          not account-specific; also data.jobs., PREFIX.credentials.

DOMAIN is amazonaws.com, amazonaws.com.cn in China and amazonaws.eu in the European Sovereign Cloud. A name inside these domains that is
none of the above is `invalid`, for nobody can own a domain there. Only the standard library, and little of it: a command that answers at
once reads names. Roots are known here by name only.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from provisioning.trust.hostname import MAX_LABEL
from provisioning.trust.providers.provider import Endpoint, Provider, Shown, invalid
from provisioning.trust.regions import DOMAIN, PARTITIONS, REGIONS, Region, region

# Amazon Trust Services: 1 anchors RSA chains, 3 ECC chains, 2 and 4 are in reserve, Starfield anchors by cross-signing.
ATS_ROOTS = ("AmazonRootCA1", "AmazonRootCA2", "AmazonRootCA3", "AmazonRootCA4", "SFSRootCAG2")
# The European Sovereign Cloud's chains end in roots of its own, which are cross-signed by these (amazontrust.com, repository).
_EUSC_ROOTS = ("AmazonRootCA1", "AmazonRootCA3", "AmazonRootCA4")
LEGACY_ROOTS = ("VeriSign-Class3-Public-Primary-G5",)
# What a device carries for an ATS host unless the product says otherwise: the roots AWS's chains end in today, RSA and ECC. A device tries
# one root at a time, so each further one costs a handshake when the chain is not to be trusted.
DEVICE_ATS_ROOTS = ("AmazonRootCA1", "AmazonRootCA3")

_SUFFIX = "-ats"
# First labels that are names of services, not of accounts.
_RESERVED = frozenset({"iot", "ats", "jobs", "credentials", "tunneling", "api", "vpce"})
# What AWS's SDKs call the data plane of any account, signed with its credentials: a device that goes there is nobody's.
_GENERIC = frozenset({"data", "data-ats"})
_DOMAINS = tuple(sorted(set(DOMAIN.values()), key=len, reverse=True))
_DUAL_STACKS = tuple({f".{partition.dual_stack}" for partition in PARTITIONS.values()})
# Labels after the first -> class. "iot" alone is decided by the first label.
_SERVICES = {
    ("iot",): "data",
    ("credentials", "iot"): "credentials",
    ("jobs", "iot"): "jobs",
    ("iot-fips",): "fips",
    ("jobs", "iot-fips"): "fips",
    ("credentials", "iot-fips"): "fips",
}


def _read(name: str) -> Endpoint | None:
    domain = next((d for d in _DOMAINS if name == d or name.endswith("." + d)), None)
    if domain is None:
        return None
    found = _inside(name, name[: -len(domain) - 1].split("."), domain)
    return invalid(name, found) if isinstance(found, str) else found


def _resembles(name: str) -> str | None:
    if name.endswith(_DUAL_STACKS):
        return "formed like a dual-stack name of AWS's SDKs, which is none for devices; a product that uses it names its roots"
    return "it resembles a name of AWS IoT and is none" if "amazonaws" in name or ".iot." in name else None


def _inside(name: str, labels: list[str], domain: str) -> Endpoint | str:
    """The endpoint, or why no device endpoint is called so."""
    where = region(labels[-1])
    if where is None or len(labels) < 2:
        return f"a name in {domain}, but not of the form PREFIX-ats.iot.REGION.{domain}"
    if DOMAIN[where.partition] != domain:
        return f"names of {where.name} end in {DOMAIN[where.partition]}"
    if len(labels) == 2 and labels[0] in ("iot", "iot-fips"):
        return "the control plane of AWS IoT; devices connect to an endpoint with a prefix"
    first, service = labels[0], tuple(labels[1:-1])
    if first in _GENERIC and service in (("iot",), ("ats", "iot")):
        return (
            f"{first} is the name that AWS's SDKs use for every account, not the prefix of yours; `twinroot aws endpoint` asks for that, "
            f"and it has the form PREFIX-ats.iot.{where.name}.{domain}"
        )
    if service == ("ats", "iot") and where.partition == "aws-cn":  # data.ats.iot.cn-north-1…, as AWS's own endpoint lists spell it
        note = "ats as a label of its own, as AWS spells it in Beijing; ask describe-endpoint for the other endpoint"
        return _endpoint(name, "ats", where.name, where.partition, None, ATS_ROOTS, (note,))
    cls = _SERVICES.get(service)
    if cls is None:
        return f"no device endpoint of AWS IoT is called so: between prefix and region stands {'.'.join(service) or 'nothing'}"
    if first in _RESERVED:
        return f"{first!r} is the name of a service, not the prefix of an account"
    if cls == "data":
        return _data(name, first, where, domain)
    if cls == "fips" and service == ("iot-fips",) and first != "data":
        return f"FIPS data endpoints are not account-specific: data.iot-fips.{where.name}.{domain}"
    if first.endswith(_SUFFIX):
        return f"{_SUFFIX} marks data endpoints only; {cls} endpoints serve ATS certificates without it"
    return _endpoint(name, cls, where.name, where.partition, None, _roots(where), (*_inferred(where), *_eusc(where)))


def _data(name: str, first: str, where: Region, domain: str) -> Endpoint | str:
    stem = first.removesuffix(_SUFFIX)
    is_ats = stem != first
    if stem.endswith((_SUFFIX, "-")) or len(stem) + len(_SUFFIX) > MAX_LABEL:
        return f"{first!r} is not a prefix of an account"
    other = f"{stem}{'' if is_ats else _SUFFIX}.iot.{where.name}.{domain}"
    notes = _inferred(where)
    if where.name == "cn-north-1":
        notes = (*notes, "AWS also spells ATS endpoints of this region PREFIX.ats.iot…: ask with `twinroot aws endpoint`")
    if not where.legacy:
        if not is_ats:
            note = f"{where.name} has ATS endpoints only: by its form the endpoint is {other}; ask for it with `twinroot aws endpoint`"
            return _endpoint(name, "legacy", where.name, where.partition, None, (), (*notes, note))
        return _endpoint(name, "ats", where.name, where.partition, None, _roots(where), (*notes, *_eusc(where)))
    return _endpoint(
        name,
        "ats" if is_ats else "legacy",
        where.name,
        where.partition,
        other,
        ATS_ROOTS if is_ats else LEGACY_ROOTS,
        (*notes, "the pair is inferred from the name; AWS creates the ATS endpoint when it is first asked for"),
    )


def _roots(where: Region) -> tuple[str, ...]:
    return _EUSC_ROOTS if where.partition == "aws-eusc" else ATS_ROOTS


def _eusc(where: Region) -> tuple[str, ...]:
    if where.partition != "aws-eusc":
        return ()
    return (
        "its chains end in Amazon's EU roots, cross-signed by Amazon Root CA 1, 3 and 4: a device needs the server to send the cross-sign",
    )


def _inferred(where: Region) -> tuple[str, ...]:
    return () if where.name in REGIONS else (f"{where.name} is not in the region table: taken as ATS only",)


def _endpoint(host: str, cls: str, *more: Any) -> Endpoint:
    device_roots = LEGACY_ROOTS if cls == "legacy" else DEVICE_ATS_ROOTS
    return replace(Endpoint(host, cls, *more), provider="aws", device_roots=device_roots)


PROVIDER = Provider(
    name="aws",
    title="AWS IoT Core",
    read=_read,
    classes={"ats": "an ATS", "legacy": "a VeriSign", "credentials": "a credential-provider", "jobs": "a jobs", "fips": "a FIPS"},
    no_data=frozenset({"credentials", "jobs"}),
    roots=(*ATS_ROOTS, *LEGACY_ROOTS),
    resembles=_resembles,
    port_443="takes MQTT only with ALPN x-amzn-mqtt-ca, which MicroPython's ssl does not send",
    without_alpn=True,
    client_id=re.compile(r".+", re.DOTALL),
    client_id_bytes=128,
    client_id_rule="the name of the thing, at most 128 bytes",
    topics={
        "devices/{client_id}/#": "publish and subscribe: readings, health",
        "$aws/things/{client_id}/jobs/#": "publish and subscribe: updates over the air",
    },
    shown=Shown(client_certificate=True, roots=True),  # X.509 client certificates
    sources=("AWS IoT Core endpoints and quotas", "AWS IoT Core: device communication protocols"),
)
