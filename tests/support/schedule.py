"""The order in which pytest's workers get the test files: a file is one worker's, so that what its tests share is made once, and the files
that take longest begin first, so that no worker is still busy with one when the others have nothing left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

# Files whose tests share little: each test goes to whichever worker is free. Seconds of the longest one on a quiet computer.
APART = {
    "tests/acceptance/test_wrong_station.py": 16,
    "tests/device/test_hostile.py": 8,
    "tests/flash/test_faults.py": 35,
    "tests/flash/test_noise.py": 20,
    "tests/job/test_faults.py": 85,
    "tests/job/test_host_dies.py": 12,
    "tests/job/test_power_cut.py": 18,
    "tests/job/test_slow_board.py": 95,
    "tests/rescue/test_states.py": 32,
    "tests/standin/test_demo.py": 10,
    "tests/virtual/test_esptool.py": 25,
}
# Seconds of other whole files. One that is not here takes less than twelve. `pytest --durations=100` prints what a run took.
WHOLE = {
    "tests/acceptance/test_life.py": 48,
    "tests/acceptance/test_main_job.py": 30,
    "tests/acceptance/test_wrong_input.py": 20,
    "tests/aws/test_register.py": 20,
    "tests/cli/test_init.py": 18,
    "tests/device/test_damage.py": 18,
    "tests/device/test_footprint.py": 20,
    "tests/device/test_jobs.py": 25,
    "tests/device/test_ota.py": 20,
    "tests/device/test_power_cut.py": 15,
    "tests/device/test_ten_years.py": 13,
    "tests/docs/test_commands.py": 37,
    "tests/flash/test_boards_that_do_not_start.py": 50,
    "tests/flash/test_job.py": 60,
    "tests/flash/test_line_faults.py": 45,
    "tests/flash/test_repeated_flash.py": 60,
    "tests/flash/test_security.py": 35,
    "tests/flash/test_station.py": 25,
    "tests/hil/test_hostile.py": 15,
    "tests/job/test_board_identity.py": 25,
    "tests/job/test_flash_operations.py": 30,
    "tests/job/test_held_prompt.py": 60,
    "tests/job/test_late_answers.py": 35,
    "tests/job/test_native_usb.py": 50,
    "tests/job/test_programs.py": 60,
    "tests/job/test_refusals.py": 30,
    "tests/job/test_resume.py": 35,
    "tests/job/test_update.py": 55,
    "tests/job/test_update_many.py": 45,
    "tests/link/test_board_messages.py": 25,
    "tests/link/test_port.py": 28,
    "tests/rescue/test_copies.py": 55,
    "tests/rescue/test_power_cut.py": 30,
    "tests/standin/test_on_device.py": 20,
    "tests/standin/test_process.py": 25,
    "tests/trust/test_verdict.py": 26,
    "tests/virtual/test_boot_image.py": 25,
    "tests/virtual/test_every_fault.py": 20,
    "tests/virtual/test_flash_time.py": 15,
    "tests/virtual/test_process.py": 25,
    "tests/virtual/test_qemu_engine.py": 15,
    "tests/virtual/test_tools.py": 25,
    "tests/virtual/test_uart.py": 15,
}
_OTHER = 4.0  # seconds of any other file
_LONG = 10.0  # seconds of tests after which a worker is given nothing long beside them


class LongestFirst(LoadScopeScheduling):
    """pytest-xdist's scheduler of scopes, whose scopes are files, the longest of them first."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        gone = [file for file in (*APART, *WHOLE) if not (config.rootpath / file).exists()]
        if gone:
            raise pytest.UsageError(f"tests/support/schedule.py names {', '.join(gone)}, which is not there.")

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return nodeid if file in APART else file

    def _assign_work_unit(self, node: WorkerController) -> None:
        """The longest unit that is left; the shortest for a worker that still has a long test before it: another may take the rest."""
        busy = sum(_left(scope, unit) for scope, unit in self.assigned_work.get(node, {}).items())
        chosen = (min if busy > _LONG else max)(self.workqueue, key=_seconds)
        self.workqueue.move_to_end(chosen, last=False)  # where it is taken from
        super()._assign_work_unit(node)


def _seconds(scope: str) -> float:
    """What a unit of work takes."""
    return APART.get(scope.split("::", 1)[0]) or WHOLE.get(scope, _OTHER)


def _left(scope: str, unit: Mapping[str, bool]) -> float:
    """What is left of one, its tests being alike."""
    return _seconds(scope) * list(unit.values()).count(False) / len(unit)
