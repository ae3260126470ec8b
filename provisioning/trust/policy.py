"""Dates ahead of a root: when somebody stops accepting it, and when it ends.

A device enforces neither (it checks the leaf's dates, and its clock may be wrong); a fleet owner plans by them, years ahead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from provisioning.errors import InputError
from provisioning.trust.roots import PolicyDate, Root
from provisioning.trust.routes import Route

# How far ahead to warn. A fleet in the field takes years to move: the last such move in the field slipped by two.
HORIZON = timedelta(days=3 * 365)

_DAYS_IN = {"y": 365, "m": 30, "w": 7, "d": 1}


@dataclass(frozen=True)
class Notice:
    """Something that happens to a root on a day. `days` from the day of asking: negative when it is past."""

    root: str
    date: date
    kind: str  # "policy" | "expiry"
    what: str
    days: int

    def __str__(self) -> str:
        when = f"in {self.days} days" if self.days > 0 else "today" if self.days == 0 else f"{-self.days} days ago"
        return f"{self.root}: {when} ({self.date}): {self.what}"


def notices(roots: Iterable[Root], today: date | None = None, within: timedelta = HORIZON) -> list[Notice]:
    """What happens to the roots until `within` after `today` (UTC), soonest first.

    What is past is told too, for it is worse than what is ahead; except the policy dates of a distrusted root, which are history.
    """
    today = today or datetime.now(timezone.utc).date()
    found = []
    for root in roots:
        dates: list[tuple[date, str, str]] = [(root.not_after.date(), "expiry", "the certificate ends; devices refuse it")]
        dates += [(p.date, "policy", p.what) for p in root.policy if not (root.status == "distrusted" and p.date <= today)]
        for day, kind, what in dates:
            if day - today <= within:
                found.append(Notice(root.name, day, kind, what, (day - today).days))
    return sorted(found, key=lambda n: (n.date, n.root))


def distrusted(roots: Iterable[Root], today: date | None = None) -> list[Notice]:
    """A notice for each root that those who decide have given up already, of the last day that is known for it."""
    today = today or datetime.now(timezone.utc).date()
    found = []
    for root in roots:
        if root.standing == "distrusted":
            past = [p for p in root.policy if p.date <= today]
            last = max(past, key=lambda p: p.date, default=PolicyDate(today, "it is distrusted"))
            found.append(Notice(root.name, last.date, "policy", f"distrusted already: {last.what}", (last.date - today).days))
    return found


@dataclass(frozen=True)
class Outlook:
    """`rows` of table() with `used_by` (product/route); `warnings` within HORIZON; `failing`: what was asked to fail."""

    rows: list[dict[str, object]]
    warnings: list[Notice]
    failing: list[Notice]


def outlook(
    roots: Mapping[str, Root], uses: Iterable[tuple[str, Route]] | None, today: date | None = None, limit: timedelta | None = None
) -> Outlook:
    """What lies ahead of `roots`, or, with `uses` (product's name, route), of those that the routes use: the others are nobody's trouble.

    With `limit`, what happens within it is failing; of a product, a root that is distrusted already, too: the worst case of a date to come.
    """
    used: dict[str, list[str]] = {}
    for product, route in uses or ():
        for name in route.roots:
            used.setdefault(name, []).append(f"{product}/{route.name}")
    concerned = [root for name, root in roots.items() if uses is None or name in used]
    rows = [{**row, "used_by": used.get(str(row["name"]), [])} for row in table(concerned, today)]
    gone = [] if uses is None else distrusted(concerned, today)
    failing = [] if limit is None else [*gone, *notices(concerned, today, limit)]
    return Outlook(rows, notices(concerned, today), failing)


def span(text: str) -> timedelta:
    """A span of time: a number and y, m, w or d ("2y", "18m", "90d"). Raises InputError."""
    match = re.fullmatch(r"(\d{1,4})\s*([ymwd])", text.strip().lower())
    if match is None:
        raise InputError("bad-span", f"{text!r} is not a span of time.", "Write a number and y, m, w or d: 2y, 18m, 90d.")
    return timedelta(days=int(match[1]) * _DAYS_IN[match[2]])


def day(text: str) -> date:
    """A day as YYYY-MM-DD. Raises InputError."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError as e:
        raise InputError("bad-date", f"{text!r} is not a date.", "Write it as YYYY-MM-DD: 2030-01-01.") from e


def table(roots: Sequence[Root], today: date | None = None) -> list[dict[str, object]]:
    """A row per root for reports, in the roots' order; the JSON form of `twinroot trust list`."""
    today = today or datetime.now(timezone.utc).date()
    return [
        {
            "name": root.name,
            "subject": root.subject,
            "sha256": root.sha256,
            "key": root.key,
            "not_before": root.not_before.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "not_after": root.not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "days_left": (root.not_after.date() - today).days,
            "policy": [{"date": p.date.isoformat(), "what": p.what} for p in root.policy],
            "status": root.status,
            "source": root.source,
            "file": str(root.file),
        }
        for root in roots
    ]
