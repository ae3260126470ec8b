"""What a wave and its devices go through, and when a wave is stopped: no database, no carrier, no clock.

waiting -> starting -> running -> done                     a state before "-ing" has ended is repeated by who comes next
              |           |         |
              +-----------+-> stopping -> stopped
                                    |         |
                                    +---------+-> back-starting -> back-running -> taken-back, back-failed
waiting -> left-out                                        the plan was ended
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from provisioning.fleet.carrier import DONE, FAILED, OFFERED, ROLLED_BACK, SILENT, WAITING, WITHDRAWN, WRITING
from provisioning.fleet.plan import Rules

PENDING, STARTING, RUNNING, PASSED = "waiting", "starting", "running", "done"
STOPPING, STOPPED = "stopping", "stopped"
BACK_STARTING, BACK_RUNNING, TAKEN_BACK, BACK_INCOMPLETE = "back-starting", "back-running", "taken-back", "back-failed"
LEFT_OUT = "left-out"

# state -> those that may follow it.
NEXT: Mapping[str, tuple[str, ...]] = {
    PENDING: (STARTING, LEFT_OUT),
    STARTING: (RUNNING, STOPPING),
    RUNNING: (PASSED, STOPPING),
    PASSED: (BACK_STARTING,),
    STOPPING: (STOPPED,),
    STOPPED: (BACK_STARTING,),
    BACK_STARTING: (BACK_RUNNING,),
    BACK_RUNNING: (TAKEN_BACK, BACK_INCOMPLETE),
    TAKEN_BACK: (),
    BACK_INCOMPLETE: (),
    LEFT_OUT: (),
}
STATES = tuple(NEXT)
OPEN = (PENDING, STARTING, RUNNING, STOPPING, BACK_STARTING, BACK_RUNNING)  # the plan is not over while a wave is one of these
GOING_FORWARD = (STARTING, RUNNING)
GOING_BACK = (BACK_STARTING, BACK_RUNNING)
HALTED = (STOPPING, STOPPED, *GOING_BACK, TAKEN_BACK, BACK_INCOMPLETE)  # no later wave begins

# A device on its way back.
BACK_OFFERED, BACK_WRITING, BACK_DONE, BACK_FAILED, BACK_SILENT = "back-offered", "back-writing", "taken-back", "back-failed", "back-silent"
# A device that no wave has.
NOT_SERVED = "not-served"

# Where a device may be after it was somewhere: a late answer counts, and what is done stays done.
FORWARD_STEPS: Mapping[str, tuple[str, ...]] = {
    WAITING: (OFFERED, WRITING, DONE, FAILED, ROLLED_BACK),
    OFFERED: (WRITING, DONE, FAILED, ROLLED_BACK, SILENT, WITHDRAWN),
    WRITING: (DONE, FAILED, ROLLED_BACK, SILENT, WITHDRAWN),
    SILENT: (WRITING, DONE, FAILED, ROLLED_BACK, WITHDRAWN),
    FAILED: (DONE, ROLLED_BACK),
    ROLLED_BACK: (DONE,),
    WITHDRAWN: (WRITING, DONE, FAILED, ROLLED_BACK),
    DONE: (),
}
BACK_STEPS: Mapping[str, tuple[str, ...]] = {
    BACK_OFFERED: (BACK_WRITING, BACK_DONE, BACK_FAILED, BACK_SILENT),
    BACK_WRITING: (BACK_DONE, BACK_FAILED, BACK_SILENT),
    BACK_SILENT: (BACK_WRITING, BACK_DONE, BACK_FAILED),
    BACK_FAILED: (BACK_DONE,),
    BACK_DONE: (),
}
STEPS: Mapping[str, tuple[str, ...]] = {**FORWARD_STEPS, **BACK_STEPS}
# What a carrier says of a device, as a step back.
AS_BACK = {
    WAITING: BACK_OFFERED,
    OFFERED: BACK_OFFERED,
    WRITING: BACK_WRITING,
    DONE: BACK_DONE,
    FAILED: BACK_FAILED,
    ROLLED_BACK: BACK_FAILED,
    SILENT: BACK_SILENT,
    WITHDRAWN: BACK_FAILED,
}
# Those who took the set, or may have: to them the way back is offered.
MAY_HAVE = (OFFERED, WRITING, DONE, SILENT)
UNDER_WAY = {True: (OFFERED, WRITING), False: (BACK_OFFERED, BACK_WRITING)}  # forward or not -> not ended yet
BACK_ENDS = (BACK_DONE, BACK_FAILED, BACK_SILENT)
MEMBER_STATES = tuple(STEPS)


def follows(before: str, after: str, *, newer: bool) -> bool:
    """Whether a device that was `before` is `after` now; `newer`: whether that was said later."""
    if after not in STEPS[before]:
        return False
    return newer if before in (SILENT, BACK_SILENT) and after in (WRITING, BACK_WRITING) else True


@dataclass(frozen=True)
class Verdict:
    """`stop`: why the wave has to stop, empty where it does not; `passed`: enough devices are done; `over`: every device has ended."""

    stop: str
    passed: bool
    over: bool


def enough(rules: Rules, size: int) -> int:
    """How many of `size` devices must be done before the next wave begins."""
    return -(-round(rules.success * 10_000) * size // 10_000)


def verdict(rules: Rules, counts: Mapping[str, int]) -> Verdict:
    """What the rules make of a wave that goes forward. `counts`: state -> devices."""
    size = sum(counts.values())
    done, failed, back = counts.get(DONE, 0), counts.get(FAILED, 0), counts.get(ROLLED_BACK, 0)
    silent, withdrawn = counts.get(SILENT, 0), counts.get(WITHDRAWN, 0)
    answered, bad = done + failed + back, failed + back
    minimum = min(rules.minimum, size)
    over = answered + silent + withdrawn == size
    passed = done >= enough(rules, size)
    stop = ""
    if back > rules.rolled_back:
        stop = f"{back} of {size} devices rolled it back, and the rule allows {rules.rolled_back}"
    elif withdrawn:
        stop = f"somebody else withdrew the offer from {withdrawn} of {size} devices"
    elif answered >= minimum and bad > rules.failed * answered:
        stop = f"{bad} of {answered} devices that answered failed, and the rule allows {_percent(rules.failed)}"
    elif answered + silent >= minimum and silent > rules.silent * size:
        stop = f"{silent} of {size} devices are silent, and the rule allows {_percent(rules.silent)}"
    elif over and not passed:
        stop = f"only {done} of {size} devices are done, and the rule wants {_percent(rules.success)}"
    return Verdict(stop, passed, over)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + " %"
