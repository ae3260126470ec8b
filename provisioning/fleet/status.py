"""Where a plan is: per wave counts, reasons, who is silent, and who is in no wave and why."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from provisioning.fleet import wave as states
from provisioning.fleet.carrier import FAILED, ROLLED_BACK, SILENT
from provisioning.fleet.membership import REASONS
from provisioning.fleet.plan_rows import NOBODY, PlanRows

MOST_NAMED = 20  # devices, of each kind, in text and JSON; counts are of all
# Those whom somebody has to look after, by the word under which they are named.
_NAMED = {
    "silent": (SILENT, states.BACK_SILENT),
    "failed": (FAILED, states.BACK_FAILED),
    "rolled_back": (ROLLED_BACK,),
}


def report(rows: PlanRows, plan: str) -> dict[str, Any]:
    """As JSON has it. `state`: of the plan, by its waves."""
    held = rows.plan(plan)
    counts = rows.counts(plan)
    waves = []
    for wave in rows.waves(plan):
        mine = counts.get(wave.wave, {})
        named = {word: _names(rows, plan, wave.wave, among) for word, among in _NAMED.items()}
        waves.append(
            {
                "wave": wave.wave,
                "by": wave.carrier,
                "state": wave.state,
                "reason": wave.reason,
                "job": wave.job if wave.carrier != "cable" else None,
                "started": _time(wave.started),
                "ended": _time(wave.ended),
                "devices": sum(mine.values()),
                "counts": dict(sorted(mine.items())),
                "reasons": dict(rows.reasons(plan, wave.wave, (FAILED, ROLLED_BACK, states.BACK_FAILED))),
                **{word: names for word, names in named.items() if names},
            }
        )
    absent = dict(rows.reasons(plan, NOBODY, (states.NOT_SERVED,)))
    return {
        "plan": plan,
        "product": held.product if held else None,
        "sha256": held.sha256 if held else None,
        "state": state_of([str(wave["state"]) for wave in waves]),
        "waves": waves,
        "not_served": absent,
        "not_served_devices": {
            word: [m.device for m in rows.members(plan, NOBODY, (states.NOT_SERVED,), detail=word, most=MOST_NAMED)] for word in absent
        },
    }


def state_of(waves: list[str]) -> str:
    """Of a plan, by its waves' states."""
    if any(state in states.HALTED for state in waves):
        return "stopped"
    if states.LEFT_OUT in waves:
        return "ended"
    if all(state == states.PASSED for state in waves):
        return "done"
    return "waiting" if all(state == states.PENDING for state in waves) else "running"


def text(found: dict[str, Any]) -> str:
    """For people."""
    lines = [f"{found['plan']} ({found['product']}): {found['state']}"]
    for wave in found["waves"]:
        counts = ", ".join(f"{count} {state}" for state, count in wave["counts"].items()) or "no devices"
        lines.append(f"  {wave['wave']:<24} by {wave['by']:<5}  {wave['state']:<13} {wave['devices']:>7} devices: {counts}")
        if wave["reason"]:
            lines.append(f"    why: {wave['reason']}")
        lines += [f"    {count} x {why}" for why, count in wave["reasons"].items()]
        for word in _NAMED:
            if wave.get(word):
                total = sum(wave["counts"].get(state, 0) for state in _NAMED[word])
                lines.append(f"    {word.replace('_', ' ')}: {', '.join(wave[word])}{', …' if total > len(wave[word]) else ''}")
    if found["not_served"]:
        lines.append("  in no wave:")
        for word, count in found["not_served"].items():
            names = found["not_served_devices"][word]
            lines.append(f"    {count} devices: {REASONS.get(word, word)} ({', '.join(names)}{', …' if count > len(names) else ''})")
    return "\n".join(lines)


def _names(rows: PlanRows, plan: str, wave: str, among: tuple[str, ...]) -> list[str]:
    return [member.device for member in rows.members(plan, wave, among, most=MOST_NAMED)]


def _time(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
