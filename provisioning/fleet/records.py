"""Rows of waves and their devices, as the database has them. Times are unix seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wave:
    """`number`: waves run in this order; `carrier`: cable or jobs; `job`: its id, where jobs carry it; `reason`: why it stopped."""

    plan: str
    wave: str
    number: int
    carrier: str
    job: str | None
    state: str
    reason: str | None = None
    started: int | None = None
    ended: int | None = None


@dataclass(frozen=True)
class Member:
    """`state`: of carrier.MEMBER_STATES; `changed`: when it became that."""

    plan: str
    device: str
    wave: str
    state: str
    detail: str | None = None
    changed: int | None = None
