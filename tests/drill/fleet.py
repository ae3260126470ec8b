"""A fleet in the field: a product with two routes, an identity for each device, boards that are theirs, and what is done to them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from provisioning.link.port import open_port
from provisioning.standin import StandIn
from tests.drill.boards import Board
from tests.standin.account import client

TWINROOT = Path(sys.executable).with_name("twinroot")
PRODUCT = "pump"
TOGETHER = 8  # boards that are powered at a time
_APPS = Path(__file__).parent / "app"
_PASSPHRASE = "a passphrase of the drill's"
_PASSED = ("PATH", "PYTHONPATH", "TMPDIR", "PYTHONDONTWRITEBYTECODE")  # of this process's environment
T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Device:
    """One unit in the field. `clock`: what its clock says when it is switched on."""

    name: str
    board: Board
    site: str
    clock: str = "host"


class Fleet:
    """A device for each of `boards`, their files below `folder`, with the stand-in `cloud` (its state: `folder`/cloud) as their account.
    `odd`: number of the device whose name does not end in a number; `ledger`: file or URL."""

    def __init__(self, folder: Path, cloud: StandIn, boards: Sequence[Board], odd: int | None = None, ledger: str | None = None) -> None:
        self.folder = folder
        self.cloud = cloud
        self.devices: dict[str, Device] = {}
        for number, board in enumerate(boards):
            name = f"pump-{number:03d}" + ("b" if number == odd else "")
            self.devices[name] = Device(name, board, site=f"site-{number % 4}")
        self.csv = folder / "devices.csv"
        self.ledger = ledger or str(folder / "ledger.sqlite")
        self._home = folder / "home"
        self._home.mkdir()
        self._clients: dict[str, Any] = {}
        done = self.run("sign", "new-key", "vendor.key.pem", "--passphrase-env", "DRILL_PASSPHRASE")
        assert done.code == 0, done.err
        self._identities()

    # -- files ---------------------------------------------------------------------------------------------------

    def _identities(self) -> None:
        with self.csv.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("device", "mac", "site"))
            for device in self.devices.values():
                self.cloud.issue(device.name)
                rows.writerow((device.name, device.board.mac, device.site))

    def write_product(self, name: str, version: int, phase: str, app: str = "main.py", signed: bool = True) -> Path:
        """A product of the stand-in's endpoints in this phase; `signed`: devices take sets over the air."""
        cloud = self.cloud
        standing = {route["root"]: "distrusted" if route["name"] == "legacy" else "current" for route in cloud.routes}
        document: dict[str, Any] = {
            "product": PRODUCT,
            "version": version,
            "board": "virtual-esp32",
            "cloud": {"region": cloud.info["region"], "endpoint": cloud.routes[0]["endpoint"], "phase": phase},
            "roots": {
                root: {"file": str(file), "sha256": cloud.pins[root], "status": standing[root]} for root, file in cloud.roots.items()
            },
            "identity": {"certificate": "cloud/devices/{device}.crt.pem", "key": "cloud/devices/{device}.key.pem"},
            "devices": self.csv.name,
            "app": {"main": str(_APPS / app)},
            "lab": {"resolve": cloud.resolve, "roots": {route["name"]: [route["root"]] for route in cloud.routes}},
        }
        if signed:
            document["updates"] = {"key": "vendor.pub.pem"}
        path = self.folder / name
        path.write_text(yaml.safe_dump(document, sort_keys=False, width=120))
        return path

    def app(self, name: str) -> Path:
        """One of the applications."""
        return _APPS / name

    def boto(self, service: str) -> Any:
        """A client of boto3 on the stand-in's account."""
        if service not in self._clients:
            self._clients[service] = client(self.cloud, service)
        return self._clients[service]

    # -- commands ------------------------------------------------------------------------------------------------

    def run(self, *words: str | Path, timeout: float = 300, cwd: Path | None = None, **environment: str) -> Run:
        """`twinroot WORDS` as a process, in the fleet's folder, with a home of its own."""
        with self.begin(*words, cwd=cwd, **environment) as process:
            return self.end(process, timeout)

    @contextmanager
    def begin(self, *words: str | Path, cwd: Path | None = None, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """The same while other things happen; what has not ended at the end is killed."""
        process = subprocess.Popen(
            [TWINROOT, *map(str, words)],
            cwd=cwd or self.folder,
            env=self.surroundings(**environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def until(self, process: subprocess.Popen[str], words: str) -> None:
        """Wait for `words` on its standard error."""
        assert process.stderr is not None
        seen = ""
        for line in process.stderr:
            seen += line
            if words in line:
                return
        raise AssertionError(f"it ended without {words!r}:\n{seen}")

    def end(self, process: subprocess.Popen[str], timeout: float = 300) -> Run:
        """What it came to."""
        out, err = process.communicate(timeout=timeout)
        assert "Traceback" not in err, err
        return Run(process.returncode, out, err)

    def surroundings(self, **more: str) -> dict[str, str]:
        """The environment of a command: the stand-in's account is the one of AWS's tools."""
        own = {"HOME": str(self._home), "TWINROOT_LEDGER": self.ledger, "DRILL_PASSPHRASE": _PASSPHRASE}
        passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
        return {**passed, **self.cloud.account.variables, "LC_ALL": "C.UTF-8", **own, **more}

    # -- what happens to devices ---------------------------------------------------------------------------------

    def shifts(self, names: Iterable[str], together: int = TOGETHER) -> list[list[Device]]:
        found = [self.devices[name] for name in names]
        return [found[at : at + together] for at in range(0, len(found), together)]

    def cable(self, product: Path, names: Iterable[str], **environment: str) -> dict[str, dict[str, Any]]:
        """`twinroot update` of these devices, shift by shift; the report of each."""
        return self.at_ports(names, ("update", product, "--devices", self.csv), **environment)

    def at_ports(self, names: Iterable[str], words: Sequence[str | Path], **environment: str) -> dict[str, dict[str, Any]]:
        """A command on the ports of these devices, shift by shift; the report of each."""
        reports: dict[str, dict[str, Any]] = {}
        for shift in self.shifts(names):
            with ExitStack() as on:
                for device in shift:
                    on.enter_context(device.board.powered(device.clock))
                by_port = {device.board.port: device.name for device in shift}
                done = self.run(*words, "--port", ",".join(by_port), "--json", **environment)
            found = json.loads(done.out)
            reports |= {by_port[one["port"]]: one for one in found.get("reports", ())} or {shift[0].name: found}
        return reports

    def visit(self, names: Iterable[str], until: Callable[[Device], T], later: str = "", together: int = TOGETHER) -> dict[str, T]:
        """Each of these devices is powered until `until` returns, `together` at a time; what it returned. `later`: so much time has passed
        by the clocks of the devices that have a right one ("+90m")."""

        def one(name: str) -> T:
            device = self.devices[name]
            with device.board.powered(device.clock + later if device.clock == "host" else device.clock):
                return until(device)

        names = list(names)
        with ThreadPoolExecutor(together) as pool:
            return dict(zip(names, pool.map(one, names), strict=True))

    def reports_health(self, timeout: float = 60) -> Callable[[Device], dict[str, Any]]:
        """For `visit`: the device publishes its health, from now on; the message."""
        after = len(self.cloud.messages())

        def wait(device: Device) -> dict[str, Any]:
            return self.cloud.wait_message(topic=f"devices/{device.name}/health", after=after, timeout=timeout)

        return wait

    def ends_job(self, job: str, timeout: float = 120) -> Callable[[Device], dict[str, Any]]:
        """For `visit`: the device has come to the end of this job; the words of that end, with a status."""

        def wait(device: Device) -> dict[str, Any]:
            topic, after = f"$aws/things/{device.name}/jobs/{job}/update", 0
            while True:
                event = self.cloud.wait_message(topic=topic, after=after, timeout=timeout)
                said: dict[str, Any] = json.loads(event["payload"])
                if said["status"] in ("SUCCEEDED", "FAILED", "REJECTED"):
                    return {**said, "route": event["route"]}
                after = 1 + next(number for number, one in enumerate(self.cloud.messages()) if one is event)

        return wait

    def listen(self, names: Iterable[str], words: bytes, timeout: float = 60) -> dict[str, bool]:
        """Each of these devices is powered until it prints `words`; whether it did."""

        def one(name: str) -> bool:
            device = self.devices[name]
            with open_port(device.board.port) as wire, device.board.powered(device.clock):
                return wire.until(words, timeout).endswith(words)

        names = list(names)
        with ThreadPoolExecutor(TOGETHER) as pool:
            return dict(zip(names, pool.map(one, names), strict=True))
