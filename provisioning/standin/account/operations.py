"""The table of operations that the control plane carries out, filled by the files that do it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from provisioning.standin.account.faults import invalid
from provisioning.standin.account.state import AccountState

Params = dict[str, Any]
Result = dict[str, Any]
Handler = Callable[[AccountState, Params], Result]


@dataclass(frozen=True)
class Carried:
    """An operation that is carried out: `takes` are the members of its request that it acts on; a request with another is refused."""

    run: Handler
    takes: frozenset[str]


class Operations:
    """The operations of one service."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.table: dict[str, Carried] = {}

    def carries(self, name: str, takes: str) -> Callable[[Handler], Handler]:
        """Decorator: the function carries out operation `name`; `takes`: names of members, with spaces between."""

        def add(run: Handler) -> Handler:
            self.table[name] = Carried(run, frozenset(takes.split()))
            return run

        return add


PAGE = 25  # items of a page when the request names no size


def page(items: list[Any], params: Params) -> tuple[list[Any], str | None]:
    """A page of `items` and the token of the next one, by maxResults (or pageSize) and nextToken.

    A token is a position, so a page after a change may repeat or miss an item.
    """
    given = params.get("nextToken", "0")
    if not str(given).isdigit():
        raise invalid(f"Invalid nextToken: {given}")
    end = int(given) + int(params.get("maxResults") or params.get("pageSize") or PAGE)
    return items[int(given) : end], str(end) if end < len(items) else None
