"""AWS regions with AWS IoT Core: partition, and whether the region ever served VeriSign certificates.

Sources: AWS's account of the move to Amazon Trust Services (which regions had VeriSign endpoints: those before May 2018) and AWS's own
endpoint data, with which a test compares these tables as botocore carries it. Adding a region is adding a row; a region that is not here
counts as one launched after May 2018.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AwsPartition:
    """`domain`: of its device endpoints; `dual_stack`: of the names that AWS's SDKs use over IPv6; `areas`: how its regions begin."""

    name: str
    domain: str
    dual_stack: str
    areas: tuple[str, ...]


# The partitions that anybody may be a customer of, those with the longer beginnings first; AWS's classified ones are nobody's here.
PARTITIONS: dict[str, AwsPartition] = {
    partition.name: partition
    for partition in (
        AwsPartition("aws-us-gov", "amazonaws.com", "api.aws", ("us-gov",)),
        AwsPartition("aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn", ("cn",)),
        AwsPartition("aws-eusc", "amazonaws.eu", "api.amazonwebservices.eu", ("eusc-de",)),
        AwsPartition("aws", "amazonaws.com", "api.aws", ("us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx")),
    )
}
DOMAIN = {partition.name: partition.domain for partition in PARTITIONS.values()}


@dataclass(frozen=True, slots=True)
class Region:
    """`legacy`: endpoints with VeriSign certificates exist beside those with ATS certificates."""

    name: str
    partition: str
    legacy: bool


_LEGACY_AND_ATS = (
    ("aws", "us-east-1 us-east-2 us-west-2"),
    ("aws", "ap-southeast-1 ap-southeast-2 ap-northeast-1 ap-northeast-2"),
    ("aws", "eu-central-1 eu-west-1 eu-west-2"),
    ("aws-cn", "cn-north-1"),
)
_ATS_ONLY = (
    ("aws", "us-west-1 ca-central-1 sa-east-1"),
    ("aws", "ap-south-1 ap-east-1 ap-southeast-5"),
    ("aws", "eu-west-3 eu-north-1 eu-south-1 eu-south-2"),
    ("aws", "me-south-1 me-central-1 il-central-1"),
    ("aws-us-gov", "us-gov-west-1 us-gov-east-1"),
    ("aws-cn", "cn-northwest-1"),
    ("aws-eusc", "eusc-de-east-1"),
)

REGIONS: dict[str, Region] = {
    name: Region(name, partition, legacy)
    for rows, legacy in ((_LEGACY_AND_ATS, True), (_ATS_ONLY, False))
    for partition, names in rows
    for name in names.split()
}

# Regions with FIPS endpoints (AWS IoT FIPS endpoints).
FIPS = frozenset(["us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "us-gov-west-1", "us-gov-east-1"])


def region(name: str) -> Region | None:
    """The region called `name`; one that is formed like a region but unknown is taken as ATS only; None when it is not formed like one."""
    known = REGIONS.get(name)
    if known or not _is_formed_like_one(name):
        return known
    partition = next((p.name for p in PARTITIONS.values() if name.startswith(tuple(f"{area}-" for area in p.areas))), "aws")
    return Region(name, partition, legacy=False)


def _is_formed_like_one(name: str) -> bool:
    """Two letters (or "eusc"), one or more words, one digit: "ap-southeast-7", "us-gov-east-1"."""
    words = name.split("-")
    return (
        len(words) >= 3
        and (len(words[0]) == 2 or words[0] == "eusc")
        and all(w.isascii() and w.isalpha() and w.islower() for w in words[:-1])
        and words[-1] in "123456789"
        and len(words[-1]) == 1
        and "iso" not in words[1]
    )
