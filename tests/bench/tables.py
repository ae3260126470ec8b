"""Plain tables: the median and the spread of at least five runs, or of the ratios of their rounds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median


def spread(values: Sequence[float]) -> str:
    """median (minimum to maximum), in seconds."""
    return f"{median(values):6.3f} ({min(values):.3f}-{max(values):.3f})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in (head, *rows)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def target(what: str, values: Sequence[float], limit: float, *, at_least: bool = False) -> tuple[list[str], bool]:
    """A row of the table of targets, and whether the target holds for the median of `values`."""
    holds = median(values) >= limit if at_least else median(values) <= limit
    sign = ">=" if at_least else "<="
    shown = f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"
    return [what, shown, f"{sign} {limit:g}", "holds" if holds else "MISSED"], holds
