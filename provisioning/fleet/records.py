"""Rows of plans and waves, as the store has them. Times are unix seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """`body`: the text of the file that was reviewed; `sha256`: of that text."""

    plan: str
    product: str
    sha256: str
    body: str
    created: int


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


@dataclass(frozen=True)
class Turn:
    """Who works on a plan, and for how many seconds more unless it asks again."""

    holder: str
    left: int


@dataclass(frozen=True)
class Summary:
    """Devices of a product, counted. `never`: without any sign of life; the others: value -> devices, without those of whom it is not
    known."""

    devices: int
    never: int
    versions: dict[str, int]
    routes: dict[str, int]
    roots: dict[str, int]
    firmware: dict[str, int]
    refused: dict[str, int]
