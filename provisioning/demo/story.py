"""The demo, step by step. Each step ends in evidence: what the broker had, what the endpoint saw, what the board reports of itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provisioning.demo import evidence
from provisioning.demo.evidence import claim
from provisioning.demo.factory import flash_board
from provisioning.demo.product import DEVICE, add_application, write_product
from provisioning.errors import BoardError
from provisioning.standin import StandIn
from provisioning.standin.control_client import NothingSeen

Event = dict[str, Any]

# Seconds the device may take to publish over a route. A failover is two refused handshakes a second apart, and one that is good.
PATIENCE = 20.0
_READING = f"devices/{DEVICE}/reading"
_HEALTH = f"devices/{DEVICE}/health"


@dataclass(frozen=True)
class Step:
    """One line of the story. `at`: seconds since the start, when the step was done."""

    at: float
    name: str
    text: str


@dataclass
class Story:
    """What was done and what proves it; `tell` hears each step as it ends. Raises TwinrootError where a claim does not hold."""

    folder: Path
    tell: Callable[[Step], None]
    broker: str = "auto"
    steps: list[Step] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def _done(self, name: str, text: str) -> None:
        step = Step(round(time.monotonic() - self.began, 2), name, text)
        self.steps.append(step)
        self.tell(step)

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self.began, 2)

    def run(self) -> None:
        """The whole story, from nothing to PASS; board and cloud are gone when it returns, the folder stays."""
        with ExitStack() as undo:
            self._begin(undo)
            self._flash()
            self._update()
            self._publish()
            self._fail_over()
            self._come_home()
            self._check_health()
            self._nothing_to_do()
            self._verify()
            self._probe()

    # -- the stage -----------------------------------------------------------------------------------------------

    def _begin(self, undo: ExitStack) -> None:
        from provisioning.virtual import VirtualBoard

        cloud = StandIn(self.folder / "cloud", broker=self.broker)
        board = VirtualBoard(state=self.folder / "board", blank=True)
        with ThreadPoolExecutor(1) as both:
            starting = both.submit(cloud.start)
            undo.callback(cloud.stop)
            undo.enter_context(board)
            starting.result()
        self.cloud, self.board = cloud, board
        ports = " and ".join(f"{route['name']} on port {route['port']}" for route in cloud.routes)
        self._done("cloud", f"a stand-in for AWS IoT is up: {ports}, each with a root of its own, one {cloud.info['broker']} broker behind")
        self._done("board", f"a virtual ESP32 is up, straight from the factory: nothing in its flash, MAC {board.mac}, port {board.port}")

        from provisioning.trust.roots import load_roots

        real = load_roots()
        self.path = write_product(self.folder, cloud)
        self._load()
        routes = ", ".join(f"{route.name} ({' + '.join(route.roots)})" for route in self.product.routes)
        self._done("product", f"{self.product.name} for {DEVICE}: {len(real)} real roots checked, 2 test roots pinned, routes {routes}")

    def _load(self) -> None:
        from provisioning.config.load import load_product
        from provisioning.config.unit import choose

        self.product = load_product(self.path)
        self.device = choose(self.product, DEVICE)[0]

    # -- the chapters --------------------------------------------------------------------------------------------

    def _flash(self) -> None:
        report = self._job("flash")
        wire = report["wire"]
        write = next(step["seconds"] for step in report["steps"] if step["name"] == "write")
        self._done(
            "flash",
            f"`twinroot flash`: into the ROM loader by DTR and RTS, firmware and file system in one pass, {wire['plain']:,} bytes in "
            f"{write:.1f} s at {wire['baud']:,} baud; the board started, hashed {len(report['files'])} files and reports PASS",
        )

    def _publish(self) -> None:
        reading = self._publishes_on("ats")
        asked = self.cloud.status()["time_requests"]
        claim(asked > 0, "no-time", "The device connected without having asked the time server, from a clock that begins in 2000.")
        self._done("ats", f"the device set its clock and published over ats, anchored in {reading['root']}: reading {reading['reading']}")

    def _fail_over(self) -> None:
        refused = len(self.cloud.connections())
        after = len(self.cloud.messages())
        began = time.monotonic()
        self.cloud.scenario("ats", "wrong-root")
        self._done("break", "the ats endpoint now presents a chain to a CA that nobody knows; its connections are cut")
        reading = self._publishes_on("legacy", after)
        took = time.monotonic() - began
        tries = [event for event in self.cloud.connections()[refused:] if event["route"] == "ats"]
        claim(
            len(tries) >= 2 and all(event["outcome"] != "connected" for event in tries),
            "wrong-accept",
            f"The broken endpoint saw {[event['outcome'] for event in tries]}, expected at least two refused handshakes and none accepted.",
        )
        self._done(
            "legacy",
            f"the device refused that chain {len(tries)} times, then published over legacy, anchored in {reading['root']}: "
            f"reading {reading['reading']}, {took:.1f} s after the cut",
        )

    def _come_home(self) -> None:
        self.cloud.repair("ats")
        after = len(self.cloud.messages())
        seconds = self.product.return_after
        self._done("repair", f"the ats endpoint is repaired; the device looks by itself, {seconds} s after it left (an hour by default)")
        reading = self._publishes_on("ats", after)
        self._done("home", f"the device is home: it published over ats, anchored in {reading['root']}: reading {reading['reading']}")

    def _check_health(self) -> None:
        health, text = evidence.health(self.cloud, self.product, _HEALTH)
        self.evidence["health"] = health
        self._done("health", text)

    def _update(self) -> None:
        add_application(self.path)
        self._load()
        report = self._job("update")
        sent = [path for path in report["written"] if path != "/trust/active"]
        self._done(
            "update",
            f"`twinroot update`: version 2 brings the application as set {report['generation']}, and set {report['previous']} stays for a "
            f"rollback: {len(sent)} of {len(report['files'])} files written, {report['wire']['sent']:,} bytes out in "
            f"{report['wire']['turns']} direction changes; PASS",
        )

    def _nothing_to_do(self) -> None:
        report = self._job("update")
        claim(report["written"] == [], "wrote-again", f"The second update wrote {report['written']}, expected nothing.")
        self._done("again", f"`twinroot update` again wrote nothing: {report['wire']['sent']:,} bytes out to find that out")

    def _verify(self) -> None:
        report = self._job("verify")
        connect = report["selftest"]["connect"]
        self._done(
            "verify",
            f"`twinroot verify --connect` read back and hashed {len(report['files'])} files; the board connected over {connect['route']} "
            f"({connect['root']}) and reports PASS",
        )

    def _probe(self) -> None:
        seen, text = evidence.probe(self.cloud, self.product, DEVICE)
        self.evidence["probes"] = seen
        self._done("probe", text)

    # -- evidence ------------------------------------------------------------------------------------------------

    def _job(self, name: str) -> dict[str, Any]:
        """Run `flash`, `update` or `verify` as the commands do; BoardError with the job's own words when it does not pass."""
        from provisioning.job.update import update
        from provisioning.job.verify import verify

        if name == "flash":
            report = flash_board(self.product, self.device, self.board.port, self.folder / "factory")
        elif name == "update":
            report = update(self.product, self.device, self.board.pty)
        else:
            report = verify(self.board.pty, self.product, self.device, connect=True)
        found = report.as_dict()
        self.evidence.setdefault("reports", []).append({"job": name, **found})
        claim(found["outcome"] == "pass", found["code"], f"{name} failed: {found['message']}", found["hint"])
        return found

    def _publishes_on(self, route: str, after: int = 0) -> Event:
        """The next reading that the broker had over `route`; what the device says of it must be what the endpoint saw."""
        try:
            message = self.cloud.wait_message(topic=_READING, route=route, after=after, timeout=PATIENCE)
        except NothingSeen as error:
            last = [f"{event['route']} {event['outcome']} {event['reason']}".strip() for event in self.cloud.connections()[-3:]]
            raise BoardError(
                "no-message",
                f"The device published nothing over {route} within {PATIENCE:.0f} s; "
                f"the endpoints last saw: {'; '.join(last) or 'nothing'}.",
                f"Look at what is left in {self.folder}, and run the demo again.",
            ) from error
        reading: Event = json.loads(message["payload"])
        root = self.cloud.route(route)["root"]
        claim(
            reading["route"] == route and reading["root"] == root and message["client"] == message["certificate"] == DEVICE,
            "wrong-attribution",
            f"{message['certificate']} says it came over {reading['route']} anchored in {reading['root']}; "
            f"the endpoint is {route} with {root}.",
        )
        self.evidence.setdefault("messages", []).append(message)
        return reading
