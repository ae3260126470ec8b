"""Who is connected, by the sessions of the endpoints."""

from __future__ import annotations

from provisioning.standin.account.faults import not_found
from provisioning.standin.account.model import moment
from provisioning.standin.account.operations import Operations, Params, Result
from provisioning.standin.account.registry import thing
from provisioning.standin.account.state import AccountState

OPERATIONS = Operations("iot")
_carries = OPERATIONS.carries


def connected(account: AccountState, client: str) -> None:
    with account.transaction():
        account.table("connectivity").put(client, record={"connected": True, "at": account.now()})


def disconnected(account: AccountState, client: str, reason: str) -> None:
    """`reason`: one of those that AWS IoT names, such as CONNECTION_LOST."""
    with account.transaction():
        account.table("connectivity").put(client, record={"connected": False, "at": account.now(), "reason": reason})


def nobody(account: AccountState) -> None:
    """At a start: whoever was connected when the stand-in ended is so no more."""
    for (client,), record in account.table("connectivity").items():
        if record["connected"]:
            disconnected(account, client, "SERVER_INITIATED_DISCONNECT")


@_carries("GetThingConnectivityData", "thingName")
def get_thing_connectivity_data(account: AccountState, params: Params) -> Result:
    name = thing(account, params["thingName"])["name"]
    found = account.table("connectivity").get(name)
    if found is None:
        raise not_found(f"Thing {name} has never been connected")
    return {
        "thingName": name,
        "connected": found["connected"],
        "timestamp": moment(found["at"]),
        "disconnectReason": found.get("reason", "NONE"),
    }
