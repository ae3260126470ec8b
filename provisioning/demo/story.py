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

from provisioning.cloud import StandIn
from provisioning.demo.product import DEVICE, write_product
from provisioning.errors import BoardError, StationError

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
            self._write_and_publish()
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
        board = VirtualBoard(state=self.folder / "board")
        with ThreadPoolExecutor(1) as both:
            starting = both.submit(cloud.start)
            undo.callback(cloud.stop)
            undo.enter_context(board)
            starting.result()
        self.cloud, self.board = cloud, board
        ports = " and ".join(f"{route['name']} on port {route['port']}" for route in cloud.routes)
        self._done("cloud", f"a stand-in for AWS IoT is up: {ports}, each with a root of its own, one {cloud.info['broker']} broker behind")
        self._done("board", f"a virtual ESP32 is up: a real MicroPython, an empty flash, MAC {board.mac}, serial port {board.pty}")

        from provisioning.config.load import load_product
        from provisioning.config.unit import choose
        from provisioning.trust.roots import load_roots

        real = load_roots()
        self.product = load_product(write_product(self.folder, cloud))
        self.device = choose(self.product, DEVICE)[0]
        routes = ", ".join(f"{route.name} ({' + '.join(route.roots)})" for route in self.product.routes)
        self._done("product", f"{self.product.name} for {DEVICE}: {len(real)} real roots checked, 2 test roots pinned, routes {routes}")

    # -- the chapters --------------------------------------------------------------------------------------------

    def _write_and_publish(self) -> None:
        report = self._job("update")
        held = len(report["files"])
        self._done(
            "update",
            f"set {report['generation']} written over serial: {len(report['written'])} files, {report['wire']['sent']:,} bytes out in "
            f"{report['wire']['turns']} turns; the board hashed {held} files and reports PASS",
        )
        reading = self._publishes_on("ats")
        asked = self.cloud.status()["time_requests"]
        _claim(asked > 0, "no-time", "The device connected without having asked the time server, from a clock that begins in 2000.")
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
        _claim(
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
        """The device's counters against what the endpoints saw: not one handshake more or less."""
        told = [message for message in self.cloud.messages() if message["topic"] == _HEALTH][-1]
        health = json.loads(told["payload"])
        seen = [event for event in self.cloud.connections() if event["at"] <= told["at"]]
        counts: dict[str, dict[str, int]] = {}
        for route in self.product.routes:
            tried = [event for event in seen if event["route"] == route.name]
            good = sum(event["outcome"] == "connected" for event in tried)
            counts[route.name] = {"good": good, "bad": len(tried) - good}
            reported = health["routes"].get(route.name, {})
            of_root = health["roots"].get(route.roots[0], {}).get("good")
            told_counts = {"good": reported.get("good"), "bad": reported.get("bad")}
            _claim(
                told_counts == counts[route.name] and of_root == good,
                "health-differs",
                f"health() says {told_counts} for route {route.name} and {of_root} for {route.roots[0]}; "
                f"the endpoint saw {counts[route.name]}.",
            )
        self.evidence["health"] = health
        anchored = ", ".join(f"{name} {row['good']}" for name, row in health["roots"].items())
        ats = health["routes"]["ats"]
        self._done(
            "health",
            f"health() counts what the endpoints saw: anchored {anchored}; refused on ats {ats['bad']} ({ats.get('err')}), "
            f"chain signed by {ats.get('iss')!r}",
        )

    def _nothing_to_do(self) -> None:
        report = self._job("update")
        _claim(report["written"] == [], "wrote-again", f"The second update wrote {report['written']}, expected nothing.")
        self._done("again", f"a second update wrote nothing: {report['wire']['sent']:,} bytes out to find that out")

    def _verify(self) -> None:
        report = self._job("verify")
        connect = report["selftest"]["connect"]
        self._done(
            "verify",
            f"verify read back and hashed {len(report['files'])} files; the board connected over {connect['route']} "
            f"({connect['root']}) and reports PASS",
        )

    def _probe(self) -> None:
        """What `trust probe` says of both endpoints must be what the device found: each is anchored by its own root and by no other."""
        from provisioning.trust.probe.examine import examine
        from provisioning.trust.probe.wire import Identity, Target

        identity = Identity(*self.cloud.issue(DEVICE))

        def look(route: Event) -> Any:
            target = Target(route["endpoint"], 8883, (route["host"], route["port"]))
            return examine(target, self.product.roots, identity=identity)

        with ThreadPoolExecutor(len(self.cloud.routes)) as both:
            found = list(both.map(look, self.cloud.routes))
        for route, seen in zip(self.cloud.routes, found, strict=True):
            anchors = [anchor.root for anchor in seen.anchors if anchor.device]
            other = ", ".join(anchors) or f"nothing ({seen.error})"
            _claim(
                anchors == [route["root"]],
                "probe-differs",
                f"The probe finds {route['name']} anchored by {other}, the device found {route['root']}.",
            )
        self.evidence["probes"] = [seen.as_dict() for seen in found]
        told = "; ".join(f"{r['name']} {s.tls}, anchored by {r['root']} alone" for r, s in zip(self.cloud.routes, found, strict=True))
        self._done("probe", f"`trust probe` agrees with the device: {told}")

    # -- evidence ------------------------------------------------------------------------------------------------

    def _job(self, name: str) -> dict[str, Any]:
        """Run `update` or `verify` as the commands do; BoardError with the job's own words when it does not pass."""
        from provisioning.job.update import update
        from provisioning.job.verify import verify

        if name == "update":
            report = update(self.product, self.device, self.board.pty)
        else:
            report = verify(self.board.pty, self.product, self.device, connect=True)
        found = report.as_dict()
        self.evidence.setdefault("reports", []).append({"job": name, **found})
        _claim(found["outcome"] == "pass", found["code"], f"{name} failed: {found['message']}", found["hint"])
        return found

    def _publishes_on(self, route: str, after: int = 0) -> Event:
        """The next reading that the broker had over `route`; what the device says of it must be what the endpoint saw."""
        try:
            message = self.cloud.wait_message(topic=_READING, route=route, after=after, timeout=PATIENCE)
        except StationError as error:
            if error.code != "cloud-no-message":
                raise
            last = [f"{event['route']} {event['outcome']} {event['reason']}".strip() for event in self.cloud.connections()[-3:]]
            raise BoardError(
                "no-message",
                f"The device published nothing over {route} within {PATIENCE:.0f} s; "
                f"the endpoints last saw: {'; '.join(last) or 'nothing'}.",
                f"Look at what is left in {self.folder}, and run the demo again.",
            ) from error
        reading: Event = json.loads(message["payload"])
        root = self.cloud.route(route)["root"]
        _claim(
            reading["route"] == route and reading["root"] == root and message["client"] == message["certificate"] == DEVICE,
            "wrong-attribution",
            f"{message['certificate']} says it came over {reading['route']} anchored in {reading['root']}; "
            f"the endpoint is {route} with {root}.",
        )
        self.evidence.setdefault("messages", []).append(message)
        return reading


def _claim(holds: bool, code: str, sentence: str, hint: str = "Run `twinroot demo --state DIR` and look at what it leaves there.") -> None:
    if not holds:
        raise BoardError(code, sentence, hint)
