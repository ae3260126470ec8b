"""The reserved topics that devices publish to, in one table, and which device may use which.

A device uses the topics of its own thing alone: the one whose name is its client identifier, with a certificate that belongs to that thing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from provisioning.standin.account import job_topics, shadows, streams
from provisioning.standin.account.calls import Call
from provisioning.standin.account.state import AccountState

_THING = re.compile(r"\$aws/things/([^/]+)/(.+)\Z", re.DOTALL)


@dataclass(frozen=True)
class Row:
    """A topic behind $aws/things/THING/, as a pattern with named parts, and what answers on it."""

    pattern: re.Pattern[str]
    filter: str
    run: Callable[[AccountState, Call], None]


def _row(template: str, run: Callable[[AccountState, Call], None]) -> Row:
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template))
    return Row(re.compile(pattern), re.sub(r"\{\w+\}", "+", template), run)


ROWS: tuple[Row, ...] = (
    _row("jobs/get", job_topics.get),
    _row("jobs/start-next", job_topics.start_next),
    _row("jobs/{jobId}/get", job_topics.describe),
    _row("jobs/{jobId}/update", job_topics.update),
    _row("shadow/get", shadows.on_get),
    _row("shadow/update", shadows.on_update),
    _row("shadow/delete", shadows.on_delete),
    _row("shadow/name/{shadowName}/get", shadows.on_get),
    _row("shadow/name/{shadowName}/update", shadows.on_update),
    _row("shadow/name/{shadowName}/delete", shadows.on_delete),
    _row("streams/{streamId}/describe/json", streams.on_describe),
    _row("streams/{streamId}/get/json", streams.on_get),
)
# What the stand-in subscribes to on its broker to get these.
FILTERS = tuple(f"$aws/things/+/{row.filter}" for row in ROWS)


def _row_of(rest: str) -> tuple[Row, dict[str, str]] | None:
    for row in ROWS:
        if found := row.pattern.fullmatch(rest):
            return row, found.groupdict()
    return None


def belongs(account: AccountState, client: str, fingerprint: str, common_name: str) -> bool:
    """Whether the connection of `client` speaks for the thing of that name: its certificate is attached to it, or was issued to it."""
    return account.table("principals").get(client, fingerprint) is not None or common_name == client


def may_publish(account: AccountState, client: str, fingerprint: str, common_name: str, topic: str) -> str:
    """Why a device may not publish to `topic`, which begins with $; empty when it may."""
    if reason := _not_its_own(account, client, fingerprint, common_name, topic):
        return reason
    found = _THING.match(topic)
    if found is None or _row_of(found[2]) is None:
        return "there is nothing behind it"
    return ""


def may_subscribe(account: AccountState, client: str, fingerprint: str, common_name: str, topic_filter: str) -> str:
    """Why a device may not subscribe to `topic_filter`, which begins with $; empty when it may."""
    return _not_its_own(account, client, fingerprint, common_name, topic_filter)


def _not_its_own(account: AccountState, client: str, fingerprint: str, common_name: str, topic: str) -> str:
    found = _THING.match(topic)
    if found is None:
        return "there is nothing behind it"
    if found[1] != client:
        return f"it is not one of the client's own thing, which is {client}"
    if not belongs(account, client, fingerprint, common_name):
        return f"the client's certificate is not attached to the thing {client}"
    return ""


def receive(account: AccountState, topic: str, payload: bytes) -> bool:
    """Carry out what a device asked for by `topic`, which may_publish has let through. False: it is not one of these topics."""
    found = _THING.match(topic)
    row = found and _row_of(found[2])
    if not found or not row:
        return False
    with account.transaction():
        row[0].run(account, Call(found[1], topic, row[1], payload))
    return True
