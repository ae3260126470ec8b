"""Which things and groups there are, for whoever refers to them by name or by ARN."""

from __future__ import annotations

from provisioning.standin.account.faults import not_found
from provisioning.standin.account.state import AccountState
from provisioning.standin.account.store import Record


def thing_arn(account: AccountState, name: str) -> str:
    return account.arn(f"thing/{name}")


def group_arn(account: AccountState, name: str) -> str:
    return account.arn(f"thinggroup/{name}")


def thing(account: AccountState, name: str) -> Record:
    """Raises Fault when there is none of that name."""
    found = account.table("things").get(name)
    if found is None:
        raise not_found(f"Thing {name} not found")
    return found


def group(account: AccountState, name: str) -> Record:
    found = account.table("groups").get(name)
    if found is None:
        raise not_found(f"Thing group {name} not found")
    return found


def groups_of(account: AccountState, name: str) -> list[str]:
    """The groups that a thing is in, and those above them."""
    found: dict[str, None] = {}
    for member in account.table("members").where("thing", name):
        above: str | None = member["group"]
        while above is not None:
            found[above] = None
            above = (account.table("groups").get(above) or {}).get("parent")
    return list(found)


def things_in(account: AccountState, name: str, *, recursive: bool = True) -> list[str]:
    """The things of a group, and of the groups below it."""
    found = [member["thing"] for member in account.table("members").where("group", name)]
    if recursive:
        for (child,), record in account.table("groups").items():
            if record.get("parent") == name:
                found += things_in(account, child)
    return list(dict.fromkeys(found))
