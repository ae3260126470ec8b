"""What a host name says about an AWS IoT endpoint: class, region, partition, the other endpoint of its pair, the roots that may anchor it.

    PREFIX-ats.iot.REGION.DOMAIN           ats           the -ats ends the first label
    PREFIX.iot.REGION.DOMAIN               legacy        most likely VeriSign
    PREFIX.credentials.iot.REGION.DOMAIN   credentials
    PREFIX.jobs.iot.REGION.DOMAIN          jobs
    data.iot-fips.REGION.DOMAIN            fips          not account-specific; also data.jobs., PREFIX.credentials.

DOMAIN is amazonaws.com, amazonaws.com.cn in China and amazonaws.eu in the European Sovereign Cloud. A name inside these domains that is
none of the above is `invalid`, for nobody can own a domain there; a name outside is `custom`: its root is the owner's choice. Only the
standard library, and little of it: `classify` is on the path of a command that answers at once. Roots are known here by name only.
"""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.trust.regions import DOMAIN, PARTITIONS, REGIONS, Region, region

# Amazon Trust Services: 1 anchors RSA chains, 3 ECC chains, 2 and 4 are in reserve, Starfield anchors by cross-signing.
ATS_ROOTS = ("AmazonRootCA1", "AmazonRootCA2", "AmazonRootCA3", "AmazonRootCA4", "SFSRootCAG2")
# The European Sovereign Cloud's chains end in roots of its own, which are cross-signed by these (amazontrust.com, repository).
_EUSC_ROOTS = ("AmazonRootCA1", "AmazonRootCA3", "AmazonRootCA4")
LEGACY_ROOTS = ("VeriSign-Class3-Public-Primary-G5",)

_LABEL_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_MAX_NAME, _MAX_LABEL = 253, 63  # RFC 1035 2.3.4
_SUFFIX = "-ats"
# First labels that are names of services, not of accounts.
_RESERVED = frozenset({"iot", "ats", "jobs", "credentials", "tunneling", "api", "vpce"})
# What AWS's SDKs call the data plane of any account, signed with its credentials: a device that goes there is nobody's.
_GENERIC = frozenset({"data", "data-ats"})
_AWS_DOMAINS = tuple(sorted(set(DOMAIN.values()), key=len, reverse=True))
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


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`host` is in lower case without a trailing dot (as given when `invalid`); `pair` is a host; `notes` say what is inferred or wrong.

    `cls`: ats | legacy | credentials | jobs | fips | custom | invalid. `partition`: one of PARTITIONS | None.
    """

    host: str
    cls: str
    region: str | None = None
    partition: str | None = None
    pair: str | None = None
    roots: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_aws(self) -> bool:
        return self.partition is not None


def classify(host: str) -> Endpoint:
    """Never raises: what is not a host name is class `invalid`, with the reason in `notes`."""
    name = host[:-1] if host.endswith(".") else host
    reason = _why_no_host_name(name)
    if reason:
        return Endpoint(host, "invalid", notes=(reason,))
    name = name.lower()
    domain = next((d for d in _AWS_DOMAINS if name == d or name.endswith("." + d)), None)
    if domain is None:
        return _outside(name)
    found = _inside(name, name[: -len(domain) - 1].split("."), domain)
    if isinstance(found, str):
        return Endpoint(host, "invalid", notes=(found,))
    return found


def _why_no_host_name(name: str) -> str:
    """Empty when `name` is a host name (RFC 1123 2.1) that TLS can carry in SNI."""
    if not name:
        return "an endpoint is a host name, and this is empty"
    if "://" in name or "/" in name:
        return "an endpoint is a host name alone, without scheme or path"
    if name.count(":") > 1 or name.startswith("["):
        return "an IP address cannot be an endpoint: SNI carries names only"
    if ":" in name:
        return "an endpoint is a host name alone; the port is a key of its own"
    if not name.isascii():
        return "a host name is ASCII; write an international name in its xn-- form"
    if len(name) > _MAX_NAME:
        return f"a host name has at most {_MAX_NAME} characters, this one has {len(name)}"
    labels = name.lower().split(".")
    for label in labels:
        if not label:
            return "a label between two dots is empty"
        if len(label) > _MAX_LABEL:
            return f"a label has at most {_MAX_LABEL} characters, one here has {len(label)}"
        if not set(label) <= _LABEL_CHARACTERS:
            return f"a host name has letters, digits, hyphens and dots, and {label!r} has something else"
        if label.startswith("-") or label.endswith("-"):
            return f"a label neither begins nor ends with a hyphen, and {label!r} does"
    if labels[-1].isdigit():
        return "an IP address cannot be an endpoint: SNI carries names only"
    return ""


def _outside(name: str) -> Endpoint:
    notes = ["not a name of AWS IoT: its root is its owner's choice, so the product names it"]
    if name.endswith(_DUAL_STACKS):
        notes = ["formed like a dual-stack name of AWS's SDKs, which is none for devices; a product that uses it names its roots"]
    elif "amazonaws" in name or ".iot." in name:
        notes.append("it resembles a name of AWS IoT and is none")
    return Endpoint(name, "custom", notes=tuple(notes))


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
        return Endpoint(name, "ats", where.name, where.partition, None, ATS_ROOTS, (note,))
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
    return Endpoint(name, cls, where.name, where.partition, None, _roots(where), (*_inferred(where), *_eusc(where)))


def _data(name: str, first: str, where: Region, domain: str) -> Endpoint | str:
    stem = first.removesuffix(_SUFFIX)
    is_ats = stem != first
    if stem.endswith((_SUFFIX, "-")) or len(stem) + len(_SUFFIX) > _MAX_LABEL:
        return f"{first!r} is not a prefix of an account"
    other = f"{stem}{'' if is_ats else _SUFFIX}.iot.{where.name}.{domain}"
    notes = _inferred(where)
    if where.name == "cn-north-1":
        notes = (*notes, "AWS also spells ATS endpoints of this region PREFIX.ats.iot…: ask with `twinroot aws endpoint`")
    if not where.legacy:
        if not is_ats:
            note = f"{where.name} has ATS endpoints only: by its form the endpoint is {other}; ask for it with `twinroot aws endpoint`"
            return Endpoint(name, "legacy", where.name, where.partition, None, (), (*notes, note))
        return Endpoint(name, "ats", where.name, where.partition, None, _roots(where), (*notes, *_eusc(where)))
    return Endpoint(
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
