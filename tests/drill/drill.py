"""The drill: a fleet leaves a root, by twinroot's own commands, with everything that goes wrong in a fleet; and then the root's endpoint is
switched off.

Who is who, from the end of the fleet: one that was made by a factory whose ledger is not here, and lies in a drawer; two that were sold
first, whose set has the old root alone and no key for signed sets; one without space in its flash; one whose clock's battery dies, at a
place without time servers; one behind a firewall that lets nobody to the new endpoint. And the first one of the pilot wave has a name
that an application cannot stand.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from provisioning.ledger.store import Ledger
from provisioning.standin import StandIn
from tests.drill.boards import Boards
from tests.drill.fleet import Fleet, Run

OLD_ROOT, NEW_ROOT = "StandInVeriSign", "StandInATS"
SIGNING = ("--key", "vendor.key.pem", "--passphrase-env", "DRILL_PASSPHRASE")
BUCKET = "updates"


@dataclass(frozen=True)
class Size:
    """`bench`, `pilot`: devices of these waves; `before_kill`: devices that have the set when `migrate run` is killed. `waits`: whether the
    minute after which a killed program has lost its turn passes, or is taken out of the database."""

    boards: int
    bench: int
    pilot: int
    before_kill: int
    processes: int
    waits: bool


SHORT = Size(boards=18, bench=2, pilot=4, before_kill=2, processes=2, waits=False)
LONG = Size(boards=200, bench=10, pilot=30, before_kill=60, processes=4, waits=True)


class Drill:
    """One drill. `tell` gets each step with the seconds it took."""

    def __init__(self, fleet: Fleet, size: Size, tell: Callable[[str], None]) -> None:
        self.fleet, self.size = fleet, size
        self._tell = tell
        names = list(fleet.devices)
        self.bench = names[: size.bench]
        self.pilot = names[size.bench : size.bench + size.pilot]
        self.odd = self.pilot[0]
        self.never, self.full, self.clock, self.walled = names[-1], names[-4], names[-5], names[-6]
        self.old = names[-3:-1]  # the first of the two is within reach of a cable
        self.alive = names[:-1]
        self.lost = {self.never, self.old[1], self.clock}
        self.product = Path("pump.yaml")

    def go(self) -> None:
        for step in (self.sold, self.evidence, self.first_plan, self.canary_by_cable, self.pilot_is_stopped, self.taken_back):
            self._timed(step)
        for step in (self.second_plan, self.killed_and_gone_on, self.who_is_left, self.seen_to, self.retired, self.switched_off):
            self._timed(step)

    def _timed(self, step: Callable[[], None]) -> None:
        began = time.monotonic()
        step()
        self._tell(f"{step.__name__.replace('_', ' '):<20} {time.monotonic() - began:6.1f} s")

    # -- the fleet as it is ----------------------------------------------------------------------------------------

    def sold(self) -> None:
        """Devices of two years, and of two factories."""
        fleet = self.fleet
        first = fleet.write_product("pump-1.yaml", 1, "legacy-only", app="first.py", signed=False)
        now = fleet.write_product("pump.yaml", 2, "legacy-first")
        rest = [name for name in self.alive if name not in self.old]
        reports = fleet.cable(now, rest) | fleet.cable(first, self.old)
        for route in ("ats", "legacy"):
            fleet.cloud.scenario(route, "refuse")  # a factory without a network
        reports |= fleet.cable(now, [self.never], TWINROOT_LEDGER=str(fleet.folder / "the-other-factory.sqlite"))
        for route in ("ats", "legacy"):
            fleet.cloud.repair(route)
        assert {name: report.get("device") for name, report in reports.items() if report["outcome"] == "pass"} == {
            name: name for name in fleet.devices
        }
        fleet.boto("s3").create_bucket(Bucket=BUCKET)
        assert fleet.run("aws", "index", "prepare").code == 0

    def evidence(self) -> None:
        """What they report goes into the ledger: by a listener at the broker, and later by the index."""
        certificate, key = self.fleet.cloud.issue("collector")
        host = self.fleet.cloud.routes[0]["endpoint"]
        words = ("migrate", "collect", self.product, "--mqtt", host, "--certificate", certificate, "--key", key, "--json")
        with self.fleet.begin(*words, "--for", "600", "--reports", str(len(self.alive))) as process:
            self.fleet.until(process, "listening on")
            seen = self.fleet.visit(self.alive, self.fleet.reports_health())
            done = self.fleet.end(process)
        assert done.code == 0 and done.report["devices"] == len(self.fleet.devices), done
        assert {name: (event["route"], event["certificate"]) for name, event in seen.items()} == {
            name: ("legacy", name) for name in self.alive
        }
        fates = self.fates()
        assert fates["lost"] == set(self.old) and fates["unknown"] == {self.never}
        assert fates["unproven"] == set(self.alive) - set(self.old)
        self.refused()

    def collect(self) -> None:
        done = self.fleet.run("migrate", "collect", self.product, "--index", "thingName:pump-*", "--json")
        assert done.code == 0, done.err

    def fates(self) -> dict[str, set[str]]:
        """What becomes of whom when the old root goes, by `migrate status`. Who needs nothing of it is safe with the new root alone."""
        done = self.fleet.run("migrate", "status", self.product, "--devices", "--json")
        found: dict[str, set[str]] = {}
        for line in done.out.splitlines():
            row = json.loads(line)
            word = row["breaks"][f"root {OLD_ROOT} goes"]["word"]
            assert (word == "safe") == (row["breaks"]["phase ats-only"]["word"] == "safe"), row
            found.setdefault(word, set()).add(row["device"])
        return found

    def refused(self, *words: str | Path) -> Run:
        """`migrate retire` says who needs the root, and writes nothing."""
        before = (self.fleet.folder / self.product).read_bytes()
        done = self.fleet.run("migrate", "retire", OLD_ROOT, self.product, *words, "--json")
        assert done.code == 1 and done.report["code"] == "still-needed", done
        assert (self.fleet.folder / self.product).read_bytes() == before
        return done

    # -- plans -----------------------------------------------------------------------------------------------------

    def plan(self, name: str, waves: str, rules: str, per_minute: int, app: str) -> dict[str, Any]:
        """A first plan by twinroot, as a person changes it, with its sets signed; what `migrate plan` says of it."""
        fleet, folder = self.fleet, self.fleet.folder
        file = folder / f"{name}.yaml"
        for old in ("pump.ats-first.yaml", "pump.back.yaml"):
            (folder / old).unlink(missing_ok=True)
        done = fleet.run("migrate", "plan", self.product, "--to", "ats-first", "--waves", file.name)
        assert done.code == 0, done.err
        wanted = folder / "pump.ats-first.yaml"
        wanted.write_text(re.sub(r"main: .*", f"main: {fleet.app(app)}", wanted.read_text()))
        text = file.read_text()
        jobs = f"jobs: {{per_minute: {per_minute}, stream: {{bucket: {BUCKET}, role: 'arn:aws:iam::123456789012:role/iot'}}}}\n"
        text = text[: text.index("rules:")] + f"rules: {rules}\n{jobs}waves:\n{waves}\n" + text[text.index("planned:") :]
        file.write_text(text)
        for product, way in ((wanted, "forward"), (folder / "pump.back.yaml", "back")):
            render = fleet.run("render", product.name, "--device", self.bench[0], "--out", f"{name}.{way}")
            assert render.code == 0, render.err
            signed = fleet.run("sign", "set", f"{name}.{way}", *SIGNING, "--out", f"{name}.{way}.bin")
            assert signed.code == 0, signed.err
        done = fleet.run("migrate", "plan", file.name, "--json")
        assert done.code == 0, done.err
        found: dict[str, Any] = done.report
        return found

    def migrate(self, what: str, plan: str, *words: str) -> Run:
        return self.fleet.run("migrate", what, f"{plan}.yaml", *words, "--json")

    def wave(self, done: Run, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(wave for wave in done.report["waves"] if wave["wave"] == name)
        return found

    def first_plan(self) -> None:
        waves = "\n".join(
            (
                f"  - {{name: bench, by: cable, devices: [{', '.join(self.bench)}]}}",
                f"  - {{name: pilot, by: jobs, devices: [{', '.join(self.pilot)}]}}",
                "  - {name: rest, by: jobs, rest: true}",
            )
        )
        half = self.size.pilot // 2
        found = self.plan("first", waves, "{rolled_back: 0, success: 100%}", half, "second.py")
        assert found["not_served_devices"] == {self.never: "never-seen"}, "who cannot be reached is named beforehand"

    def canary_by_cable(self) -> None:
        fleet = self.fleet
        reports = fleet.at_ports(self.bench, ("migrate", "run", "first.yaml", "--wave", "bench"))
        assert {name: report["outcome"] for name, report in reports.items()} == dict.fromkeys(self.bench, "pass")
        seen = fleet.visit(self.bench, fleet.reports_health())
        assert {event["route"] for event in seen.values()} == {"ats"}

    def pilot_is_stopped(self) -> None:
        """One device rolls the set back; the rule allows none. The rollout never came to half of the wave."""
        fleet, job = self.fleet, "first_pilot_forward"
        done = self.migrate("run", "first", "--once")
        assert done.code == 0 and self.wave(done, "pilot")["state"] == "running", done
        offered = {name for name, status in self.executions(job).items() if status == "QUEUED"}
        assert self.odd in offered and len(offered) == self.size.pilot // 2
        ends = fleet.visit(sorted(offered), fleet.ends_job(job))
        assert {name for name, end in ends.items() if end["status"] == "SUCCEEDED" and end["route"] == "ats"} == offered - {self.odd}
        assert ends[self.odd]["status"] == "FAILED" and "was rolled back" in ends[self.odd]["statusDetails"]["why"]
        assert ends[self.odd]["route"] == "legacy"
        done = self.migrate("run", "first", "--once")
        assert done.code == 1 and done.report["code"] == "wave-stopped"
        assert "rolled it back, and the rule allows 0" in done.report["message"]
        assert self.wave(done, "pilot")["rolled_back"] == [self.odd] and self.wave(done, "rest")["state"] == "waiting"
        # From here on it is offered to nobody: minutes pass, the others come, and nothing happens.
        fleet.cloud.account.advance(600)
        after = len(fleet.cloud.messages())
        others = [name for name in self.pilot if name not in offered]
        seen = fleet.visit(others, fleet.reports_health())
        assert {event["route"] for event in seen.values()} == {"legacy"}
        assert {name for name, status in self.executions(job).items() if status != "CANCELED"} == offered
        assert not [event for event in fleet.cloud.messages()[after:] if job in event["topic"] or "/streams/" in event["topic"]]
        assert fleet.boto("iot").describe_job(jobId=job)["job"]["status"] == "CANCELED"

    def taken_back(self) -> None:
        fleet, job = self.fleet, "first_pilot_back"
        done = self.migrate("back", "first", "--wave", "pilot", "--once")
        assert done.code == 0, done
        back = set(self.executions(job))
        assert back == set(self.pilot[: self.size.pilot // 2]) - {self.odd}, "to those that took it, and to no others"
        ends = fleet.visit(sorted(back), fleet.ends_job(job))
        assert {(end["status"], end["route"]) for end in ends.values()} == {("SUCCEEDED", "legacy")}
        done = self.migrate("back", "first", "--wave", "pilot", "--once")
        assert done.code == 0 and self.wave(done, "pilot")["state"] == "taken-back"
        assert self.migrate("end", "first").code == 0
        assert not [job for job in fleet.boto("iot").list_jobs()["jobs"] if "rest" in job["jobId"]]

    def executions(self, job: str) -> dict[str, str]:
        """Thing -> status, as boto3 has it."""
        pages = self.fleet.boto("iot").get_paginator("list_job_executions_for_job").paginate(jobId=job)
        rows = [row for page in pages for row in page["executionSummaries"]]
        return {row["thingArn"].rpartition("/")[2]: row["jobExecutionSummary"]["status"] for row in rows}

    # -- the second plan -------------------------------------------------------------------------------------------

    def second_plan(self) -> None:
        shutil.copy(self.fleet.folder / "pump.back.yaml", self.fleet.folder / self.product)
        self.collect()
        waves = "\n".join((f"  - {{name: old, by: cable, devices: [{', '.join(self.old)}]}}", "  - {name: field, by: jobs, rest: true}"))
        found = self.plan("second", waves, self._rules("1d"), 1000, "main.py")
        assert found["not_served_devices"] == {self.never: "never-seen"}
        reports = self.fleet.at_ports(self.old[:1], ("migrate", "run", "second.yaml", "--wave", "old"))
        assert reports[self.old[0]]["outcome"] == "pass"
        assert self.fleet.visit(self.old[:1], self.fleet.reports_health())[self.old[0]]["route"] == "ats"

    def _rules(self, silent_after: str) -> str:
        return f"{{failed: 30%, silent: 60%, silent_after: {silent_after}, rolled_back: 0, success: 50%, minimum: 5}}"

    def killed_and_gone_on(self) -> None:
        """`migrate run` dies in the middle of its wave, and goes on at another computer."""
        fleet, job = self.fleet, "second_field_forward"
        field = [name for name in self.alive if name not in self.old]
        quick = [name for name in field if name not in (self.full, self.clock, self.walled)]
        fleet.devices[self.full].board.call("inject", fault="full=4096")
        with fleet.begin("migrate", "run", "second.yaml") as process:
            fleet.until(process, "offered to")
            first = fleet.visit(quick[: self.size.before_kill], fleet.ends_job(job))
            process.send_signal(signal.SIGKILL)
            assert process.wait(10) == -signal.SIGKILL
        elsewhere = {"cwd": self._another_computer(), "HOME": str(fleet.folder / "elsewhere" / "home")}
        words = ("migrate", "run", str(fleet.folder / "second.yaml"), "--once", "--json")
        done = fleet.run(*words, **elsewhere)
        assert done.code == 3 and done.report["code"] == "plan-busy", done
        rest = fleet.visit(quick[self.size.before_kill :], fleet.ends_job(job))
        assert {(end["status"], end["route"]) for end in (first | rest).values()} == {("SUCCEEDED", "ats")}
        self._difficult(job)
        self._minute_passes(lambda: fleet.run(*words, **elsewhere))
        done = fleet.run(*words, **elsewhere)
        counts = {"done": len(quick) + 1, "failed": 1, "offered": 1}
        assert done.code == 0 and self.wave(done, "field")["counts"] == counts, done
        # Who has not come by now is silent: the person who runs the plan says so, in its rules.
        file = fleet.folder / "second.yaml"
        file.write_text(file.read_text().replace("silent_after: 1d", "silent_after: 1s"))
        assert self.migrate("run", "second", "--once").report["code"] == "plan-edited"
        assert self.migrate("start", "second").code == 0
        done = fleet.run(*words[:-2], "--json", **elsewhere)
        assert self.wave(done, "field")["state"] == "done", done
        assert len([row for row in fleet.boto("iot").list_jobs()["jobs"] if "second" in row["jobId"]]) == 1, "one job, and no second offer"

    def _another_computer(self) -> Path:
        place = self.fleet.folder / "elsewhere" / "desk"
        (place.parent / "home").mkdir(parents=True)
        place.mkdir()
        return place

    def _minute_passes(self, again: Callable[[], Run]) -> None:
        """A killed program has its turn for a minute more."""
        if not self.size.waits:
            with Ledger.open(self.fleet.ledger) as ledger:
                from provisioning.ledger.fleet_tables import TURNS

                ledger.beside(lambda connection: connection.execute(TURNS.update().values(until=0)))
            return
        until = time.monotonic() + 90
        while again().code == 3:
            assert time.monotonic() < until
            time.sleep(2)

    def _difficult(self, job: str) -> None:
        """The three that do not come through as the others do."""
        fleet = self.fleet
        end = fleet.visit([self.full], fleet.ends_job(job))[self.full]
        assert (end["status"], end["route"]) == ("FAILED", "legacy") and "flash full" in end["statusDetails"]["why"]
        fleet.devices[self.clock] = replace(fleet.devices[self.clock], clock="2000")
        assert fleet.listen([self.clock], b"no time server answered") == {self.clock: True}
        fleet.cloud.scenario("ats", "reset", drop=False)
        try:
            end = fleet.visit([self.walled], fleet.ends_job(job))[self.walled]
        finally:
            fleet.cloud.repair("ats")
        assert (end["status"], end["route"]) == ("SUCCEEDED", "legacy"), "its new set has both routes, and one of them is open"

    # -- leaving ---------------------------------------------------------------------------------------------------

    def who_is_left(self) -> None:
        """Everybody whom the switch would cost is named before it, and why."""
        self.collect()
        done = self.migrate("status", "second")
        field = self.wave(done, "field")
        assert field["failed"] == [self.full] and field["silent"] == [self.clock]
        assert self.wave(done, "old")["silent"] == [self.old[1]]
        assert done.report["not_served_devices"] == {"never-seen": [self.never]}
        fates = self.fates()
        assert fates["lost"] == {self.old[1]} and fates["unknown"] == {self.never}
        assert fates["unproven"] == {self.full, self.clock, self.walled}
        assert fates["safe"] == set(self.alive) - fates["lost"] - fates["unproven"]
        self.refused()

    def seen_to(self) -> None:
        """Two are helped: there is space in the flash, and a hole in the firewall."""
        fleet = self.fleet
        fleet.devices[self.full].board.call("heal")
        assert fleet.cable(Path("pump.ats-first.yaml"), [self.full])[self.full]["outcome"] == "pass"
        seen = fleet.visit([self.full, self.walled], fleet.reports_health(), later="+90m")
        assert {event["route"] for event in seen.values()} == {"ats"}

    def retired(self) -> None:
        fleet = self.fleet
        shutil.copy(fleet.folder / "pump.ats-first.yaml", fleet.folder / self.product)
        self.collect()
        message = self.refused().report["message"]
        assert {name for name in fleet.devices if name in message} == self.lost, "the refusal names them"
        (fleet.folder / "gone.txt").write_text("".join(f"{name}\n" for name in sorted(self.lost)))
        retire = ("migrate", "retire", OLD_ROOT, self.product, "--gone", "gone.txt", "--json")
        assert fleet.run(*retire).report["code"] == "gone-was-seen", "one of them was seen before its clock stopped"
        done = fleet.run(*retire, "--yes")
        assert done.code == 0 and done.report["phase"] == "ats-only", done
        assert fleet.run("check", self.product).code == 0

    def switched_off(self) -> None:
        """The endpoint is gone. Whoever had evidence is there, and the lost are those who were named."""
        fleet = self.fleet
        assert fleet.run("cloud", "--state", "cloud", "--set", "legacy=refuse").code == 0
        there = [name for name in fleet.devices if name not in self.lost]
        after = len(fleet.cloud.connections())
        seen = fleet.visit(there, fleet.reports_health())
        assert {name: (event["route"], event["client"], event["certificate"]) for name, event in seen.items()} == {
            name: ("ats", name, name) for name in there
        }
        tried = fleet.listen([self.old[1]], b"network") | fleet.listen([self.clock], b"no time server answered")
        assert tried == {self.old[1]: True, self.clock: True}
        made = {(event["certificate"], event["route"]) for event in fleet.cloud.connections()[after:] if event["outcome"] == "connected"}
        assert made == {(name, "ats") for name in there}


@contextmanager
def prepared(folder: Path, size: Size, ledger: str | None, tell: Callable[[str], None]) -> Iterator[Drill]:
    """A drill, before its first step. `ledger`: a URL, by default a file in `folder`."""
    began = time.monotonic()
    with StandIn(folder / "cloud", broker="amqtt") as cloud, Boards(folder / "boards", size.boards, size.processes) as boards:
        fleet = Fleet(folder, cloud, boards.all, odd=size.bench, ledger=ledger)
        cloud.clock(silent=True)  # devices have a clock with a battery, and one whose battery dies is without time
        tell(f"{'start':<20} {time.monotonic() - began:6.1f} s")
        yield Drill(fleet, size, tell)
