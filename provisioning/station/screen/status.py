"""The lines above and below the panels."""

from __future__ import annotations

from provisioning.station.engine import Engine


def counted(engine: Engine, product: str, now: float) -> str:
    """What the shift has done."""
    counts = engine.counts
    share = counts.yield_percent
    means = [slot.cycle for slot in engine.slots.values() if slot.cycle.count]
    pieces = [
        f"PASS {counts.count('pass')}  FAIL {counts.count('fail')}  ERROR {counts.count('error')}",
        f"yield {share:.0f} %" if share is not None else "",
        f"{sum(cycle.total for cycle in means) / sum(cycle.count for cycle in means):.1f} s a board" if means else "",
        f"round {max(slot.boards for slot in engine.slots.values())}",
        f"shift {_hours(now - counts.began)}",
        product,
    ]
    return "   ".join(piece for piece in pieces if piece)


def helped(engine: Engine, code: str) -> str:
    """The keys that do something now, or the code as it is typed."""
    if code:
        return f"Code: {code}"
    bad = bool(engine.bad)
    why = bad or any(slot.undone for slot in engine.slots.values())
    if engine.scans:
        keys = ("F2 why" if why else "", "F5 once more" if bad else "", "Ctrl-C end")
        return "   ".join(text for text in keys if text)
    fixed = any(slot.fixed for slot in engine.slots.values())
    wanted = ("R once more" if bad else "", "D why" if why else "", "N next boards" if fixed else "", "S settings", "Q end")
    return "   ".join(text for text in wanted if text)


def _hours(seconds: float) -> str:
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02d}"
