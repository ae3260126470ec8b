"""The tables of partitions and regions are AWS's own, as the installed botocore carries them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore
import pytest

from provisioning.trust.endpoint import classify
from provisioning.trust.regions import FIPS, PARTITIONS, REGIONS, region

DATA = Path(botocore.__file__).parent / "data"
CLASSIFIED = ("aws-iso",)  # partitions that need a clearance


def read(name: str) -> list[dict[str, Any]]:
    rows = json.loads((DATA / name).read_text("utf-8"))["partitions"]
    return [row for row in rows if not row.get("id", row.get("partition", "")).startswith(CLASSIFIED)]


def test_partitions() -> None:
    theirs = {row["id"]: (row["outputs"]["dnsSuffix"], row["outputs"]["dualStackDnsSuffix"]) for row in read("partitions.json")}
    assert {name: (mine.domain, mine.dual_stack) for name, mine in PARTITIONS.items()} == theirs


def test_every_region_of_aws_is_of_its_partition() -> None:
    for row in read("partitions.json"):
        for name in row["regions"]:
            if not name.endswith("-global"):
                found = region(name)
                assert found is not None and found.partition == row["id"], name
                host = f"a1b2c3d4e5f6g7-ats.iot.{name}.{row['outputs']['dnsSuffix']}"
                assert (classify(host).cls, classify(host).region, classify(host).partition) == ("ats", name, row["id"])


def services() -> dict[str, set[str]]:
    """Regions of AWS IoT Core, and those with FIPS endpoints, by botocore."""
    found: dict[str, set[str]] = {"iot": set(), "fips": set()}
    for row in read("endpoints.json"):
        for service in ("iot", "data-ats.iot"):
            for name in row["services"].get(service, {"endpoints": {}})["endpoints"]:
                found["fips" if name.startswith("fips-") else "iot"].add(name.removeprefix("fips-"))
    return found


def test_regions_with_iot_core() -> None:
    # The European Sovereign Cloud is in AWS's rules for endpoints, not yet in their older list.
    assert {name for name in REGIONS if REGIONS[name].partition != "aws-eusc"} == services()["iot"]
    assert services()["fips"] == FIPS


@pytest.mark.parametrize("service", ["data.iot", "data-ats.iot", "iot"])
def test_their_names_for_all_accounts_are_no_endpoints(service: str) -> None:
    seen = 0
    for row in read("endpoints.json"):
        for name, entry in row["services"].get(service, {"endpoints": {}})["endpoints"].items():
            host = entry.get("hostname", f"{service}.{name}.{row['dnsSuffix']}")
            if "fips" not in host:
                seen += 1
                assert classify(host).cls == "invalid", host
    assert seen > 20
