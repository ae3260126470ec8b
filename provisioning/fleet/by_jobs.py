"""A wave by AWS IoT Jobs: the signed set in a job that the wave's devices are offered, at the pace of its rollout.

AWS has an abort rule of its own, for the hours in which nobody runs `twinroot migrate run`. It counts failures, refusals and time-outs and
so stops at the earliest when the plan's own rule would.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from provisioning.aws import jobs, streams
from provisioning.aws.iot_api import Aws
from provisioning.config.device import COLUMN
from provisioning.config.device import Device as ProductDevice
from provisioning.config.product import Product
from provisioning.config.unit import client_id
from provisioning.fleet.carrier import DONE, FAILED, OFFERED, ROLLED_BACK, SILENT, WITHDRAWN, WRITING, Progress
from provisioning.fleet.device import Device
from provisioning.fleet.plan import ByJobs, Rules
from provisioning.ota import job_document

# What firmware/twinroot/jobs.py says of a version that it rolled back.
_ROLLED_BACK = "was rolled back"
# AWS's word -> where the device is. A job that was removed from a device, or cancelled before it began, is offered no more.
STATES: Mapping[str, str] = {
    "QUEUED": OFFERED,
    "IN_PROGRESS": WRITING,
    "SUCCEEDED": DONE,
    "FAILED": FAILED,
    "REJECTED": FAILED,
    "TIMED_OUT": SILENT,
    "REMOVED": WITHDRAWN,
    "CANCELED": WITHDRAWN,
}
_SAID_WHY = ("FAILED", "REJECTED")


class Names:
    """device -> thing and back: a thing is called by the product's client id, which is the device's own id unless the product says
    otherwise. `devices`: called when it does, for all of the product."""

    def __init__(self, product: Product, devices: Callable[[], Iterable[Device]]) -> None:
        self._product = product
        self._devices = devices
        self._plain = product.client_id == "{device}"
        self._things: dict[str, str] = {}
        self._ids: dict[str, str] = {}

    def thing_of(self, device: str) -> str:
        """Raises InputError for a device whose columns nobody knows."""
        return device if self._plain else self._all()[device] if device in self._all() else self._named(device, {})

    def device_of(self, thing: str) -> str | None:
        """None for a thing that is none of them."""
        if self._plain:
            return thing
        self._all()
        return self._ids.get(thing)

    def _all(self) -> Mapping[str, str]:
        if not self._things:
            for known in self._devices():
                self._things[known.device] = self._named(known.device, known.attributes)
            self._ids = {thing: device for device, thing in self._things.items()}
        return self._things

    def _named(self, device: str, columns: Mapping[str, str]) -> str:
        return client_id(self._product, ProductDevice(device, {**columns, COLUMN: device}))


class JobsCarrier:
    """`container`: gives the signed set, when it is offered; `members`: the devices of the wave; `check`: called before each request,
    raises when this program may not go on."""

    def __init__(
        self,
        aws: Aws,
        container: Callable[[], bytes],
        how: ByJobs,
        rules: Rules,
        names: Names,
        members: Callable[[], Iterable[str]],
        check: Callable[[], None],
    ) -> None:
        self._aws = cast("Aws", _Checked(aws, check))
        self._container = container
        self._how = how
        self._rules = rules
        self._names = names
        self._members = members
        self._why: dict[str, str] = {}  # thing -> what it said of its failure

    def start(self, key: str, devices: Sequence[str]) -> None:
        rollout = jobs.Rollout(
            per_minute=self._how.per_minute,
            abort_percent=min(100.0, max(0.01, round(100 * self._rules.failed, 2))),
            abort_minimum=min(self._rules.minimum, len(devices)),
            timeout_minutes=max(1, self._how.timeout // 60),
        )
        jobs.create(self._aws, key, [self._names.thing_of(device) for device in devices], self._document(), rollout)

    def _document(self) -> bytes:
        """By a topic or a stream where the plan names one and the set does not fit into a job."""
        container = self._container()
        try:
            return job_document.document(container)
        except job_document.TooLarge:
            if self._how.stream:
                stream = streams.create(self._aws, container, *self._how.stream)
                return job_document.document(container, stream=stream)
            if self._how.topic:
                return job_document.document(container, self._how.topic)
            raise

    def progress(self, key: str) -> Iterator[Progress]:
        begun: set[str] = set()
        try:
            for one in jobs.executions(self._aws, key):
                device = self._names.device_of(one.thing)
                if device is not None:
                    begun.add(device)
                    why = self._said(key, one) if one.status in _SAID_WHY else ""
                    rolled_back = one.status == "FAILED" and _ROLLED_BACK in why
                    yield Progress(device, ROLLED_BACK if rolled_back else STATES.get(one.status, OFFERED), why, one.at)
            # A rollout tells devices at its pace: those it had not come to when the job was cancelled have no execution, and get none.
            cancelled = jobs.state(self._aws, key) == "CANCELED"
        except jobs.NoJob:
            return  # it was never made
        if cancelled:
            now = int(time.time())
            yield from (Progress(device, WITHDRAWN, "", now) for device in self._members() if device not in begun)

    def stop(self, key: str, reason: str) -> None:
        try:
            jobs.cancel(self._aws, key, reason)
        except jobs.NoJob:
            return

    def _said(self, key: str, one: jobs.Execution) -> str:
        if one.thing not in self._why:
            self._why[one.thing] = jobs.detailed(self._aws, key, one).detail or one.status.lower()
        return self._why[one.thing]


class _Checked:
    """An Aws whose requests are made only while `check` lets them."""

    def __init__(self, aws: Aws, check: Callable[[], None]) -> None:
        self._aws = aws
        self._check = check

    def __getattr__(self, name: str) -> Any:
        self._check()
        return getattr(self._aws, name)
