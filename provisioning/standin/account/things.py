"""Things and thing groups."""

from __future__ import annotations

import uuid
from typing import Any

from provisioning.standin.account import executions
from provisioning.standin.account.faults import Fault, invalid
from provisioning.standin.account.model import moment
from provisioning.standin.account.operations import Operations, Params, Result, page
from provisioning.standin.account.registry import group, group_arn, thing, thing_arn, things_in
from provisioning.standin.account.state import AccountState
from provisioning.standin.account.store import Record

OPERATIONS = Operations("iot")
_carries = OPERATIONS.carries
_NAMESPACE = uuid.UUID("a3bb189e-8bf9-3888-9912-ace4e6543002")


# -- things ------------------------------------------------------------------------------------------------------------


def make_thing(account: AccountState, name: str, attributes: dict[str, str] | None = None) -> Record:
    record = {
        "name": name,
        "id": str(uuid.uuid5(_NAMESPACE, name + str(account.now()))),
        "attributes": attributes or {},
        "version": 1,
        "at": account.now(),
    }
    return account.table("things").put(name, record=record)


@_carries("CreateThing", "thingName attributePayload")
def create_thing(account: AccountState, params: Params) -> Result:
    name, wanted = params["thingName"], params.get("attributePayload", {}).get("attributes", {})
    found = account.table("things").get(name)
    if found is not None and found["attributes"] != wanted:
        raise Fault(
            "ResourceAlreadyExistsException",
            f"Thing {name} already exists in account with different attributes",
            resourceId=name,
            resourceArn=thing_arn(account, name),
        )
    record = found or make_thing(account, name, wanted)
    return {"thingName": name, "thingArn": thing_arn(account, name), "thingId": record["id"]}


@_carries("DescribeThing", "thingName")
def describe_thing(account: AccountState, params: Params) -> Result:
    record = thing(account, params["thingName"])
    return {
        "defaultClientId": record["name"],
        "thingName": record["name"],
        "thingId": record["id"],
        "thingArn": thing_arn(account, record["name"]),
        "attributes": record["attributes"],
        "version": record["version"],
    }


@_carries("ListThings", "nextToken maxResults attributeName attributeValue")
def list_things(account: AccountState, params: Params) -> Result:
    name, value = params.get("attributeName"), params.get("attributeValue")
    found = [
        record
        for record in account.table("things").values()
        if name is None or (name in record["attributes"] and value in (None, record["attributes"][name]))
    ]
    shown, token = page(found, params)
    return {
        "things": [
            {
                "thingName": record["name"],
                "thingArn": thing_arn(account, record["name"]),
                "attributes": record["attributes"],
                "version": record["version"],
            }
            for record in shown
        ],
        "nextToken": token,
    }


def _check_version(record: Record, params: Params) -> None:
    expected = params.get("expectedVersion")
    if expected is not None and expected != record["version"]:
        raise Fault("VersionConflictException", f"Version {expected} was expected, it is {record['version']}")


def _merged(attributes: dict[str, str], payload: Params) -> dict[str, str]:
    """Attributes after an update: replaced, or merged where the payload says so; an empty value removes one."""
    new = payload.get("attributes", {})
    both = {**attributes, **new} if payload.get("merge") else new
    return {name: value for name, value in both.items() if value != ""}


@_carries("UpdateThing", "thingName attributePayload expectedVersion")
def update_thing(account: AccountState, params: Params) -> Result:
    record = thing(account, params["thingName"])
    _check_version(record, params)
    attributes = _merged(record["attributes"], params["attributePayload"]) if "attributePayload" in params else record["attributes"]
    account.table("things").change(record["name"], attributes=attributes, version=record["version"] + 1)
    return {}


@_carries("DeleteThing", "thingName expectedVersion")
def delete_thing(account: AccountState, params: Params) -> Result:
    name = params["thingName"]
    record = account.table("things").get(name)
    if record is None:
        return {}  # AWS answers so as well
    _check_version(record, params)
    if account.table("principals").where("thing", name):
        raise invalid(f"Thing {name} cannot be deleted: principals are attached to it")
    executions.thing_is_gone(account, name)
    for member in account.table("members").where("thing", name):
        account.table("members").delete(member["group"], name)
    for shadow in account.table("shadows").where("thing", name):
        account.table("shadows").delete(name, shadow["shadow"])
    account.table("things").delete(name)
    return {}


# -- groups ------------------------------------------------------------------------------------------------------------


@_carries("CreateThingGroup", "thingGroupName parentGroupName thingGroupProperties")
def create_thing_group(account: AccountState, params: Params) -> Result:
    name, parent = params["thingGroupName"], params.get("parentGroupName")
    properties = params.get("thingGroupProperties", {})
    if parent is not None:
        group(account, parent)
    found = account.table("groups").get(name)
    wanted = {
        "parent": parent,
        "description": properties.get("thingGroupDescription"),
        "attributes": properties.get("attributePayload", {}).get("attributes", {}),
    }
    if found is not None and any(found[key] != value for key, value in wanted.items()):
        raise Fault(
            "ResourceAlreadyExistsException",
            f"Thing group {name} already exists in account with different properties",
            resourceId=name,
            resourceArn=group_arn(account, name),
        )
    if found is None:
        made = {"name": name, "id": str(uuid.uuid4()), "version": 1, "at": account.now(), **wanted}
        found = account.table("groups").put(name, record=made)
    return {"thingGroupName": name, "thingGroupArn": group_arn(account, name), "thingGroupId": found["id"]}


@_carries("DescribeThingGroup", "thingGroupName")
def describe_thing_group(account: AccountState, params: Params) -> Result:
    record = group(account, params["thingGroupName"])
    above: list[str] = []
    parent = record["parent"]
    while parent is not None:
        above.insert(0, parent)
        parent = (account.table("groups").get(parent) or {}).get("parent")
    return {
        "thingGroupName": record["name"],
        "thingGroupId": record["id"],
        "thingGroupArn": group_arn(account, record["name"]),
        "version": record["version"],
        "thingGroupProperties": {
            "thingGroupDescription": record["description"],
            "attributePayload": {"attributes": record["attributes"]} if record["attributes"] else None,
        },
        "thingGroupMetadata": {
            "parentGroupName": record["parent"],
            "rootToParentThingGroups": [{"groupName": each, "groupArn": group_arn(account, each)} for each in above] or None,
            "creationDate": moment(record["at"]),
        },
    }


@_carries("UpdateThingGroup", "thingGroupName thingGroupProperties expectedVersion")
def update_thing_group(account: AccountState, params: Params) -> Result:
    record = group(account, params["thingGroupName"])
    _check_version(record, params)
    properties = params["thingGroupProperties"]
    changed = account.table("groups").put(
        record["name"],
        record={
            **record,
            "description": properties.get("thingGroupDescription", record["description"]),
            "attributes": _merged(record["attributes"], properties.get("attributePayload", {"merge": True})),
            "version": record["version"] + 1,
        },
    )
    return {"version": changed["version"]}


@_carries("DeleteThingGroup", "thingGroupName expectedVersion")
def delete_thing_group(account: AccountState, params: Params) -> Result:
    name = params["thingGroupName"]
    record = account.table("groups").get(name)
    if record is None:
        return {}
    _check_version(record, params)
    if any(other["parent"] == name for other in account.table("groups").values()):
        raise invalid(f"Thing group {name} cannot be deleted: it has child groups")
    for member in account.table("members").where("group", name):
        account.table("members").delete(name, member["thing"])
    account.table("groups").delete(name)
    return {}


@_carries("ListThingGroups", "nextToken maxResults parentGroup namePrefixFilter recursive")
def list_thing_groups(account: AccountState, params: Params) -> Result:
    parent, prefix = params.get("parentGroup"), params.get("namePrefixFilter", "")
    if parent is not None:
        group(account, parent)
    found = [
        record["name"]
        for record in account.table("groups").values()
        if record["name"].startswith(prefix) and _below(account, record, parent, bool(params.get("recursive", True)))
    ]
    shown, token = page(found, params)
    return {"thingGroups": [{"groupName": name, "groupArn": group_arn(account, name)} for name in shown], "nextToken": token}


def _below(account: AccountState, record: Record, parent: str | None, recursive: bool) -> bool:
    above: Any = record["parent"]
    if parent is None:
        return recursive or above is None
    while above is not None:
        if above == parent:
            return True
        above = (account.table("groups").get(above) or {}).get("parent") if recursive else None
    return False


def _named(kind: str, params: Params) -> str:
    """A thing or a group that is given by name, by ARN, or by both."""
    name, arn = params.get(f"{kind}Name"), params.get(f"{kind}Arn")
    from_arn = arn.rpartition("/")[2] if arn else None
    if name is None and from_arn is None:
        raise invalid(f"Either {kind}Name or {kind}Arn must be given")
    if None not in (name, from_arn) and name != from_arn:
        raise invalid(f"{kind}Name and {kind}Arn do not match")
    return str(name or from_arn)


@_carries("AddThingToThingGroup", "thingGroupName thingGroupArn thingName thingArn")
def add_thing_to_thing_group(account: AccountState, params: Params) -> Result:
    in_group, name = group(account, _named("thingGroup", params))["name"], thing(account, _named("thing", params))["name"]
    if (in_group, name) not in account.table("members"):
        account.table("members").put(in_group, name, record={"group": in_group, "thing": name})
        executions.thing_joined(account, name)
    return {}


@_carries("RemoveThingFromThingGroup", "thingGroupName thingGroupArn thingName thingArn")
def remove_thing_from_thing_group(account: AccountState, params: Params) -> Result:
    in_group, name = group(account, _named("thingGroup", params))["name"], thing(account, _named("thing", params))["name"]
    if (in_group, name) in account.table("members"):
        account.table("members").delete(in_group, name)
        executions.thing_left(account, name)
    return {}


@_carries("UpdateThingGroupsForThing", "thingName thingGroupsToAdd thingGroupsToRemove overrideDynamicGroups")
def update_thing_groups_for_thing(account: AccountState, params: Params) -> Result:
    for name in params.get("thingGroupsToAdd", ()):
        add_thing_to_thing_group(account, {"thingGroupName": name, "thingName": params["thingName"]})
    for name in params.get("thingGroupsToRemove", ()):
        remove_thing_from_thing_group(account, {"thingGroupName": name, "thingName": params["thingName"]})
    return {}


@_carries("ListThingsInThingGroup", "thingGroupName recursive nextToken maxResults")
def list_things_in_thing_group(account: AccountState, params: Params) -> Result:
    name = group(account, params["thingGroupName"])["name"]
    shown, token = page(things_in(account, name, recursive=bool(params.get("recursive"))), params)
    return {"things": shown, "nextToken": token}


@_carries("ListThingGroupsForThing", "thingName nextToken maxResults")
def list_thing_groups_for_thing(account: AccountState, params: Params) -> Result:
    name = thing(account, params["thingName"])["name"]
    found = [member["group"] for member in account.table("members").where("thing", name)]
    shown, token = page(found, params)
    return {"thingGroups": [{"groupName": each, "groupArn": group_arn(account, each)} for each in shown], "nextToken": token}
