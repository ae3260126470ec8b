"""The endpoints of an account in a region, asked for by type, each answer checked. Nothing is cached: AWS is the only authority.

Without a type, and with `iot:Data`, AWS answers with the VeriSign endpoint: no request here goes without a type.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning.aws.iot_api import Aws
from provisioning.config.product import Product
from provisioning.config.text_file import read_text
from provisioning.errors import InputError, StationError
from provisioning.migration import yaml_edit
from provisioning.trust.endpoint import classify
from provisioning.trust.providers import PROVIDERS
from provisioning.trust.regions import region as known_region

# Type as DescribeEndpoint takes it -> class of the answer.
TYPES = {"iot:Data-ATS": "ats", "iot:Data": "legacy", "iot:CredentialProvider": "credentials", "iot:Jobs": "jobs"}


@dataclass(frozen=True)
class Described:
    """An endpoint as AWS named it. `roots`: names of the roots that may anchor it."""

    type: str
    cls: str
    host: str
    pair: str | None
    roots: tuple[str, ...]


def describe(aws: Aws, types: Iterable[str] = TYPES) -> list[Described]:
    """Ask for each type; `iot:Data` is left out in a region that has ATS endpoints only. The first question for iot:Data-ATS creates it.

    Raises StationError when an answer is not what was asked for.
    """
    found = []
    for kind in types:
        where = known_region(aws.region)
        if kind == "iot:Data" and where is not None and not where.legacy:
            continue
        host = str(aws.call("describe_endpoint", endpointType=kind)["endpointAddress"])
        endpoint = classify(host)
        if endpoint.cls != TYPES[kind] or endpoint.region != aws.region:
            raise StationError(
                "unexpected-endpoint",
                f"AWS was asked for {kind} in {aws.region} and answered {host!r}, which is of class {endpoint.cls}"
                f"{f' in {endpoint.region}' if endpoint.region else ''}.",
                "Do not use it; ask again, and check which account and region answer.",
            )
        found.append(Described(kind, endpoint.cls, endpoint.host, endpoint.pair, endpoint.roots))
    return found


def notes(found: list[Described], region: str) -> list[str]:
    """What a reader should know about the answers."""
    by_class = {d.cls: d for d in found}
    said = []
    where = known_region(region)
    if where is not None and not where.legacy:
        said.append(f"{region} has ATS endpoints only: there is no legacy route here")
    ats, legacy = by_class.get("ats"), by_class.get("legacy")
    if ats and legacy and ats.pair != legacy.host:
        said.append(
            f"the legacy endpoint is {legacy.host}, and by its name the ATS endpoint's pair would be {ats.pair}: use what AWS answers"
        )
    return said


def changes_for(text: str, found: list[Described], region: str, name: str) -> dict[tuple[str | int, ...], str]:
    """What to change in a product file so that it connects to these endpoints. Raises InputError when its routes are none of AWS's."""
    hosts = {d.cls: d.host for d in found if d.cls in ("ats", "legacy")}
    changes: dict[tuple[str | int, ...], str] = {}
    index = 0
    while (host := yaml_edit.value_at(text, ("cloud", "routes", index, "endpoint"), name)) is not None:
        cls = classify(host).cls
        if cls in hosts:
            changes["cloud", "routes", index, "endpoint"] = hosts[cls]
        elif cls == "ats" or (cls == "legacy" and "legacy" not in hosts):
            raise InputError(
                "no-such-endpoint", f"{name}: route {index + 1} is {cls}, and {region} has no such endpoint.", "Remove the route."
            )
        index += 1
    endpoint = yaml_edit.value_at(text, ("cloud", "endpoint"), name)
    if endpoint is not None or not index:
        changes["cloud", "endpoint"] = hosts["ats"]
        derived = not index and yaml_edit.value_at(text, ("cloud", "phase"), name) is None
        if derived and endpoint and classify(endpoint).cls == "legacy" and "legacy" in hosts:
            # The endpoint that is named comes first where nothing else says so: naming the other one must not move a fleet.
            changes["cloud", "phase"] = "legacy-first"
    elif not changes:
        raise InputError("no-aws-route", f"{name}: none of its routes is an endpoint of AWS IoT.", "Give it `endpoint:` under `cloud:`.")
    if yaml_edit.value_at(text, ("cloud", "region"), name) is not None:
        changes["cloud", "region"] = region
    return changes


def region_in(file: Path) -> str | None:
    """The region that a product file means: `cloud.region`, else that of its endpoint. Raises InputError."""
    text = read_text(file)
    endpoint = yaml_edit.value_at(text, ("cloud", "endpoint"), str(file)) or yaml_edit.value_at(
        text, ("cloud", "routes", 0, "endpoint"), str(file)
    )
    return yaml_edit.value_at(text, ("cloud", "region"), str(file)) or (classify(endpoint).region if endpoint else None)


def refuse_other_provider(file: Path) -> None:
    """Raises InputError for a product file that says, or whose endpoint does, that it connects to another provider than AWS."""
    text = read_text(file)
    places: tuple[tuple[str | int, ...], ...] = (("cloud", "endpoint"), ("cloud", "routes", 0, "endpoint"))
    hosts = [host for place in places if (host := yaml_edit.value_at(text, place, str(file)))]
    provider = yaml_edit.value_at(text, ("cloud", "provider"), str(file)) or next((classify(host).provider for host in hosts), None)
    if provider not in (None, "aws"):
        title = PROVIDERS[provider].title if provider in PROVIDERS else repr(provider)
        raise InputError(
            "other-provider",
            f"{file} is a product for {title}: it takes no endpoint of AWS.",
            "For a product that moves to AWS, take `provider`, its roots and its endpoint out first; docs/providers.md.",
        )


def check_provider(product: Product) -> None:
    """Raises InputError for a product whose devices are not AWS's: what is made of it in AWS would be nobody's. A host that no provider's
    names fit may be a domain of one's own in AWS."""
    if product.provider not in (None, "aws"):
        named = product.document.at(("cloud", "provider")) is not None
        raise product.error(
            ("cloud", "provider" if named else "endpoint"),
            "other-provider",
            f"the product is one of {PROVIDERS[product.provider].title}",
            "`twinroot aws` is for products of AWS IoT Core; docs/providers.md has the others.",
        )


def region_of(product: Product) -> str | None:
    """The region of a product's endpoints."""
    return next((region for route in product.routes if (region := classify(route.host).region)), None)


def write(file: Path, found: list[Described], region: str) -> dict[str, str]:
    """Put the endpoints into a product file, comments and order kept; what was written (dotted key -> value), {} when it was there
    already. Raises InputError."""
    text = read_text(file)
    changes: dict[Any, str] = changes_for(text, found, region, str(file))
    new = {path: value for path, value in changes.items() if yaml_edit.value_at(text, path, str(file)) != value}
    yaml_edit.change_file(file, new)
    return {".".join(map(str, path)): value for path, value in new.items()}
