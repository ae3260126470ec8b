"""Plain tables: the median and the spread of the rounds, or of their ratios."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from tests.bench.board import Cost


def spread(values: Sequence[float]) -> str:
    """median (minimum-maximum), in seconds."""
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def counts(costs: Sequence[Cost]) -> list[str]:
    """Reads, erases, programs, seconds of flash, bytes out, turns: of the round that had most."""
    whole = [str(max(getattr(cost, name) for cost in costs)) for name in ("reads", "erases", "programs")]
    return [
        *whole,
        f"{max(cost.flash_seconds for cost in costs):.2f}",
        *(str(max(getattr(cost, name) for cost in costs)) for name in ("sent", "turns")),
    ]


COUNTED = ("reads", "erases", "programs", "flash, s", "bytes out", "turns")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in (head, *rows)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def target(what: str, values: Sequence[float], limit: float | None, *, at_least: bool = False) -> tuple[list[str], bool]:
    """A row of the table of targets, and whether the target holds for the median of `values`; without `limit` it is told only."""
    shown = spread(values)
    if limit is None:
        return [what, shown, "", ""], True
    holds = median(values) >= limit if at_least else median(values) <= limit
    sign = ">=" if at_least else "<="
    return [what, shown, f"{sign} {limit:g}", "holds" if holds else "MISSED"], holds
