"""Is the ledger as it was written? Walks the chain and says which row is wrong and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.ledger.entry import GENESIS, parse, sha256


@dataclass(frozen=True)
class ChainFault:
    """One thing that is wrong, at one row."""

    seq: int
    code: str
    message: str


@dataclass(frozen=True)
class ChainCheck:
    """`head` is (seq, hash) of the last row, (0, zeros) for an empty ledger."""

    rows: int
    head: tuple[int, str]
    anchored: int  # the highest row that an anchor vouches for; 0 without anchors
    faults: tuple[ChainFault, ...]

    @property
    def ok(self) -> bool:
        """No fault was found."""
        return not self.faults


def verify(rows: Iterable[Mapping[str, Any]], heads: Mapping[int, str]) -> ChainCheck:
    """Check rows (in order of seq, as stored) against the chain and against known heads (seq -> hash)."""
    faults: list[ChainFault] = []
    seen: dict[int, str] = {}
    last, previous = 0, GENESIS
    for row in rows:
        seq = row["seq"]
        if type(seq) is not int or not all(isinstance(row[name], str) for name in ("hash", "body")):
            faults.append(ChainFault(last + 1, "row-unreadable", f"what stands where row {last + 1} belongs is not a row"))
            continue
        if seq != last + 1:
            faults.append(
                ChainFault(
                    seq, "row-missing", f"row {last + 1} is not there" if seq == last + 2 else f"rows {last + 1} to {seq - 1} are not there"
                )
            )
        faults += _row(row, previous if seq == last + 1 else None)
        last, previous = seq, row["hash"]
        seen[seq] = row["hash"]
    for seq, known in sorted(heads.items()):
        if seq > last:
            faults.append(ChainFault(seq, "tail-missing", f"rows {last + 1} to {seq} were written and are not there any more"))
        elif seen.get(seq, known) != known:
            faults.append(ChainFault(seq, "row-replaced", f"row {seq} is not the one that was anchored"))
    return ChainCheck(len(seen), (last, previous), max((seq for seq in heads if seq <= last), default=0), tuple(faults))


def _row(row: Mapping[str, Any], previous: str | None) -> list[ChainFault]:
    """What is wrong with one row; `previous` is the hash that it must continue, None where the row before is missing."""
    seq, body = row["seq"], row["body"]
    try:
        if sha256(body) != row["hash"]:
            return [ChainFault(seq, "row-edited", f"row {seq} does not have the hash that was recorded")]
        entry = parse(body)
        is_canonical = entry.canonical() == body
    except (ValueError, TypeError, RecursionError) as error:
        return [ChainFault(seq, "row-unreadable", f"row {seq} cannot be read: {error}")]
    faults = []
    if not is_canonical:
        faults.append(ChainFault(seq, "row-edited", f"row {seq} is not in canonical form"))
    if entry.seq != seq:
        faults.append(ChainFault(seq, "row-moved", f"row {seq} was written as row {entry.seq}"))
    if previous is not None and entry.previous != previous:
        faults.append(ChainFault(seq, "chain-broken", f"row {seq} does not continue the row before it"))
    # A ledger of an older form lacks columns, and nothing else.
    wrong = [name for name, value in entry.copies().items() if name in row and row[name] != value]
    if wrong:
        faults.append(ChainFault(seq, "column-edited", f"row {seq}: column {wrong[0]} differs from the record"))
    return faults
