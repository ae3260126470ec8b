"""The other names of an endpoint's account and region, and how each is known: from the name itself, from AWS's lists, or only by asking."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.trust.providers import Endpoint
from provisioning.trust.regions import FIPS, PARTITIONS


@dataclass(frozen=True, slots=True)
class Related:
    """`host` is None when it cannot be known without asking. `how`: inferred | known | ask."""

    what: str
    host: str | None
    how: str
    note: str


def related(endpoint: Endpoint) -> list[Related]:
    """Nothing for what is not an endpoint of AWS IoT."""
    if endpoint.provider != "aws" or endpoint.region is None or endpoint.partition is None:
        return []
    region, partition = endpoint.region, PARTITIONS[endpoint.partition]
    domain = partition.domain
    found = []
    if endpoint.pair:
        found.append(Related("pair", endpoint.pair, "inferred", "same prefix; AWS creates the ATS endpoint when it is first asked for"))
    if endpoint.cls not in ("jobs", "fips"):
        found.append(Related("jobs", None, "ask", "describe-endpoint iot:Jobs; its prefix is another one"))
    found.append(Related("jobs, any account", f"data.jobs.iot.{region}.{domain}", "known", "what AWS's SDKs use"))
    if endpoint.cls != "credentials":
        found.append(Related("credentials", None, "ask", "describe-endpoint iot:CredentialProvider; its prefix is another one"))
    if region in FIPS:
        note = "any account; features that need the account's name in SNI do not work there"
        found.append(Related("FIPS", f"data.iot-fips.{region}.{domain}", "known", note))
    dual = f"data-ats.iot.{region}.{partition.dual_stack}"
    found.append(Related("dual-stack", dual, "known", "what AWS's SDKs use over IPv6; not a name for devices"))
    return [r for r in found if r.host != endpoint.host]
