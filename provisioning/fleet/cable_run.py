"""Boards that are plugged in here, updated as part of a wave by cable: its members and no others, and nothing is written to the others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from provisioning.bundle import compile as compiler
from provisioning.config.device import Device, single_device
from provisioning.config.load import load_product
from provisioning.config.text_file import is_file
from provisioning.config.unit import own_devices
from provisioning.errors import InputError
from provisioning.fleet import wave as states
from provisioning.fleet.carrier import DONE, Progress
from provisioning.fleet.plan import BACK, CABLE, FORWARD
from provisioning.fleet.plan_rows import PlanRows
from provisioning.fleet.records import Wave
from provisioning.job import many
from provisioning.job.assign import FoundBoard, assign
from provisioning.job.many import PortResult, Watch
from provisioning.job.prompt_session import wiring_of
from provisioning.job.report import Report
from provisioning.job.update_many import Ask, only_failures
from provisioning.job.update_task import UpdateJob, UpdateTask, bindings
from provisioning.link.events import Event


class NotOfWave(InputError):
    """The board is not one of the wave's devices."""


def direction_of(wave: Wave) -> str:
    """Which set the wave's boards get now. Raises InputError where they get none."""
    if wave.carrier != CABLE:
        raise InputError("wave-not-by-cable", f"The wave {wave.wave} goes by {wave.carrier}.", "Leave --port out.")
    if wave.state == states.RUNNING:
        return FORWARD
    if wave.state == states.BACK_RUNNING:
        return BACK
    raise InputError(
        "wave-not-running", f"The wave {wave.wave} is {wave.state}: its boards get nothing.", "`twinroot migrate status` says why."
    )


def update_boards(
    rows: PlanRows, wave: Wave, product_file: Path, location: str | None, ports: Sequence[str], retries: int, watch: Watch
) -> list[PortResult]:
    """Write `product_file` to those boards on `ports` that are devices of the wave. What passed is done in its rows."""
    product = load_product(product_file)
    job = UpdateJob(product_file, None, location)
    # On the way back: only those to whom it is offered.
    among = tuple(states.BACK_STEPS) if wave.state == states.BACK_RUNNING else None
    members = {member.device for member in rows.members(wave.plan, wave.wave, among)}
    listed = {device.id: device for device in own_devices(product)} if product.devices and is_file(product.devices) else {}
    compiler.package(compiler.MPY_VERSION)  # once here instead of once in each worker
    asked = many.run(dict.fromkeys(ports, Ask(wiring_of(product))), retries, only_failures(watch))
    results = {row.port: row for row in asked}
    boards = [FoundBoard(row.port, row.report["mac"], row.report["device"]) for row in asked if row.passed]
    meant = [found for found in boards if found.holds in members]
    devices: list[Device] = [listed.get(str(found.holds)) or single_device(str(found.holds)) for found in meant]
    tasks: dict[str, many.Task] = {}
    with bindings(job) as known:
        decided = dict(assign(devices, meant, known))
        open_on = {found.port for found in meant if known.is_open(found.mac)}
    for found in boards:
        device = decided.get(found.port) or _not_of_wave(found, wave)
        if isinstance(device, InputError):
            results[found.port].end(Report(mac=found.mac, device=found.holds).failed(device))
            watch(found.port, Event("report", results[found.port].report))
        else:
            ready = product if many.FORKED else None
            tasks[found.port] = UpdateTask(job, device, found.mac, ready, others=found.port in open_on)
    for row in many.run(tasks, retries, watch):
        results[row.port] = row
        if row.passed:
            state = states.BACK_DONE if wave.state == states.BACK_RUNNING else DONE
            said = str(row.report["message"])
            rows.note(None, wave, [Progress(str(row.report["device"]), state, said, int(time.time()))])
    return list(results.values())


def _not_of_wave(found: FoundBoard, wave: Wave) -> NotOfWave:
    who = f"is {found.holds}, which is not" if found.holds else "has no identity, so it is not"
    return NotOfWave(
        "not-in-wave",
        f"The board {found.mac} on {found.port} {who} in the wave {wave.wave}.",
        "Nothing was written. `twinroot migrate status` shows the plan; its own wave comes later.",
    )
