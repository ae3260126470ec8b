"""Firmware over the air on an emulated chip, from `twinroot sign set --firmware` to the boot loader's rollback: a stock MicroPython of two
slots, its own flash driver, Wi-Fi and TLS; AWS IoT Jobs and a stream of the stand-in's account."""

from __future__ import annotations

import configparser
import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from provisioning.errors import BoardError, StationError
from provisioning.flash import app_image, partition
from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from provisioning.standin import StandIn
from tests.silicon import images, peers
from tests.silicon.product import DEVICE, Products
from tests.silicon.rig import PROMPT, EmulatorFailedError, Rig, RowFailedError, Took, run
from tests.silicon.slots import with_slots
from tests.support import slot_steps
from tests.support.command import twinroot_command

_BUCKET, _ROLE = "sets", "arn:aws:iam::123456789012:role/streams"
_PASSPHRASE = {"TWINROOT_SIGNING_PASSPHRASE": "emulated"}
_VERSION = re.compile(rb"MicroPython v(\d+\.\d+\.\d+) on ")
_LIMIT = 600.0  # s for a transfer, and for what the board does at its prompt
_STATES = {0: "new", 1: "pending", 2: "valid", 4: "aborted", 0xFFFFFFFF: "blank"}

_STALL = 25.0  # s without a block: the emulated chip has stopped receiving
_STILL = 120.0  # s without an end: two routes' time-outs and a start
_ATTEMPTS = 40
_TRIES = 4  # a set's firmware is started so often

# At the prompt: work() takes the job at hand and ends with the commit; clock() takes unix seconds.
_BOARD = """
import gc,machine,sys,time,twinroot
from esp32 import Partition
def at():
 return [Partition(Partition.RUNNING).info()[4],sys.version.split()[-3],twinroot.SET,twinroot.guard.read()['refused']]
def work():
 while 1:
  try:
   c=twinroot.mqtt(timeout=20)
   j=twinroot.jobs.Jobs(c)
   n=0
   while not j.done:
    c.wait_msg()
    n+=1
    if j.got and not n%8:print('at',j.got.update.wanted)
   print('done')
   return
  except OSError as e:print(repr(e))
def report():
 c=twinroot.mqtt(timeout=20)
 j=twinroot.jobs.Jobs(c)
 c.wait_msg()
 c.disconnect()
def attempt():
 try:
  k=twinroot.connect(wait=False)
  k.close()
  return [k.route]
 except OSError as e:return [getattr(e,'kind',None),str(e)]
def clock(s):
 t=time.gmtime(s-(946684800 if time.gmtime(0)[0]==2000 else 0))
 machine.RTC().datetime(t[:3]+(0,)+t[3:6]+(0,))
"""


def another(application: bytes, version: str, boot: bytes = b"boot.py") -> bytes:
    """The same firmware that calls itself by another version of as many letters, and runs another file first: whole in every byte that a
    boot loader looks at."""
    found = _VERSION.search(application)
    assert found is not None and len(found[1]) == len(version) and b"boot.py\0" in application
    made = bytearray(application.replace(b"MicroPython v" + found[1], b"MicroPython v" + version.encode()))
    made = made.replace(b"boot.py\0", boot + b"\0")
    size = app_image.parse(application).size
    for old, new in zip(application, bytes(made), strict=True):
        made[size - 33] ^= old ^ new if old != new else 0
    made[size - 32 : size] = hashlib.sha256(made[: size - 32]).digest()
    app_image.parse(bytes(made))
    return bytes(made)


class Line:
    """A station: the vendor's key, the product in its versions, the account."""

    def __init__(self, rig: Rig, products: Products, place: Path, cloud: StandIn) -> None:
        self.place, self.cloud = place, cloud
        shutil.copytree(products.one.parent / "devices", place / "devices")
        content = with_slots(rig.image.file.read_bytes(), rig.image.offset, 4 << 20)
        self.image = place / "slots.bin"
        self.image.write_bytes(content)
        rows = partition.parse(content[partition.TABLE_OFFSET - rig.image.offset :])
        slot = next(row for row in rows if row.is_app)
        files = rows[-1]
        at = slot.offset - rig.image.offset
        self.application = content[at:][: app_image.parse(content, at).size]
        self.slots = {row.label: row for row in rows if row.is_app}
        board = {"extends": rig.image.board, "slots": {"size": slot.size}, "partition": {"offset": files.offset, "size": files.size}}
        (place / "board.yaml").write_text(json.dumps(board), "utf-8")
        self._made: dict[str, Any] = json.loads(products.one.read_text("utf-8"))
        for root in self._made.get("roots", {}).values():
            root["file"] = str(Path(products.one.parent, root["file"]))
        self.command("sign", "new-key", "vendor.key.pem")

    def command(self, *arguments: str) -> dict[str, Any]:
        """Raises RowFailedError with what it said."""
        environment = _PASSPHRASE | self.cloud.account.variables
        paths = [str(self.place / each) if re.fullmatch(r"[\w.]+\.(yaml|pem|bin|csv)|out\d", each) else each for each in arguments]
        _, code, out, said = run([*twinroot_command(*paths), "--json"], _LIMIT, environment)
        if code:
            raise RowFailedError(f"twinroot {' '.join(arguments)}: {said.strip()[-300:]}")
        found: dict[str, Any] = json.loads(out)
        return found

    def product(self, version: int) -> Path:
        """Each version has one more root in its set."""
        made = {**self._made, "board": "./board.yaml", "version": version, "updates": {"key": "vendor.pub.pem"}}
        made["cloud"]["routes"][0]["roots"] = [*self._made["cloud"]["routes"][0]["roots"], *[f"AmazonRootCA{n}" for n in (1, 3)]][:version]
        path = self.place / f"v{version}.yaml"
        path.write_text(json.dumps(made), "utf-8")
        return path

    def send(self, version: int, firmware: bytes) -> int:
        """A job for the board with this version of the set and this firmware. Bytes of the container."""
        self.product(version)
        (self.place / "image.bin").write_bytes(firmware)
        self.command("render", f"v{version}.yaml", "--device", DEVICE, "--out", f"out{version}")
        how = ("--key", "vendor.key.pem", "--firmware", "image.bin", "--board", "board.yaml", "--out", "set.bin")
        size: int = self.command("sign", "set", f"out{version}", *how)["bytes"]
        self.command(
            "aws", "job", "create", "set.bin", "--device", DEVICE, "--job", f"v{version}", "--bucket", _BUCKET, "--role-arn", _ROLE
        )
        return size

    def ended(self, version: int) -> str:
        """Status of the board's execution of that job."""
        environment = self.cloud.account.variables
        out = run([*twinroot_command("aws", "job", "status", f"v{version}", "--details"), "--json"], _LIMIT, environment)[2]
        status: str = json.loads(out)["executions"][0]["status"]
        return status


class Chip:
    """The board at its prompt."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.stood_still = 0

    @contextmanager
    def prompt(self) -> Iterator[RawRepl]:
        with open_port(self.rig.board.pty) as wire:
            repl = RawRepl(wire)
            repl.enter()
            repl.run(_BOARD)
            yield repl

    def value(self, expression: str) -> Any:
        try:
            with self.prompt() as repl:
                return repl.value(expression, _LIMIT)
        except BoardError as error:
            raise RowFailedError(f"{expression}: {error.message}") from error

    def go(self, code: str) -> str:
        """Code that may end in a reset of the package's; returns at a prompt. "reset", "ended", or "still": the emulated chip stood still,
        as it does now and then with Wi-Fi in use, and its power went."""
        try:
            with open_port(self.rig.board.pty) as wire:
                repl = RawRepl(wire)
                repl.enter()
                repl.run(_BOARD)
                repl.start(code)
                said, end = b"", time.monotonic() + _STILL
                while not said.endswith((PROMPT, b"\x04>")) and time.monotonic() < end:
                    said += wire.read(1.0)
        except StationError as error:
            raise RowFailedError(f"{code}: {error.message}") from error
        if said.endswith(b"\x04>"):
            return "ended"
        if said.endswith(PROMPT):
            return "reset"
        self.stood_still += 1
        self.rig.settle()
        return "still"

    def until(self, code: str, what: str, at: list[Any], states: list[str]) -> None:
        """`code` until the chip is there, which it is at once unless it stands still meanwhile. Raises RowFailedError."""
        for _ in range(_TRIES):
            if self.go(code) != "still":
                break
        self.must(what, at, states)

    def work(self) -> None:
        """The job at hand, to its commit. Where the chip stands still its power goes, and the update goes on where it was."""
        for _ in range(_ATTEMPTS):
            with self.prompt() as repl:
                repl.start("work()")
                said = b""
                while more := repl.wire.read(_STALL):
                    *lines, said = (said + more).split(b"\r\n")
                    if b"done" in lines:
                        return
            self.stood_still += 1
            self.rig.settle()
        raise EmulatorFailedError(f"it stopped receiving {_ATTEMPTS} times: {self.rig.evidence()}")

    def states(self) -> list[str]:
        found = [self.rig.board.read_flash(slot_steps.OTADATA + at + 24, 4) for at in (0, 0x1000)]
        return [_STATES.get(int.from_bytes(each, "little"), each.hex()) for each in found]

    def must(self, what: str, at: list[Any], states: list[str]) -> None:
        found = (self.value("at()"), self.states())
        if found != (at, states):
            raise RowFailedError(f"{what}: {found}, expected {(at, states)}")


def _bucket(cloud: StandIn) -> None:
    import boto3

    account = cloud.account
    secrets = configparser.ConfigParser()
    secrets.read(account.credentials)
    keys = {name: secrets["default"][name] for name in ("aws_access_key_id", "aws_secret_access_key")}
    boto3.client("s3", endpoint_url=account.url, verify=str(account.ca), region_name=account.region, **keys).create_bucket(Bucket=_BUCKET)


def air(rig: Rig, _products: Products) -> Took:
    """Version 2 comes with firmware and proves itself; version 3 comes with firmware under which nothing connects, and goes with it. With
    a product and an account of its own: a run that the emulator breaks off leaves jobs that have not ended."""
    rig.off()
    with ExitStack() as undo:
        place = Path(undo.enter_context(TemporaryDirectory(prefix="air-")))
        products = Products(rig.image, True, place / "product", undo)
        assert products.cloud is not None
        line = Line(rig, products, place, products.cloud)
        _bucket(products.cloud)
        own = undo.enter_context(Rig(images.of(line.image), rig.qemu))
        return _story(line, Chip(own), products)


def _story(line: Line, chip: Chip, products: Products) -> Took:
    rig = chip.rig
    rig.start("blank")
    rig.twinroot("update", line.product(1), "--device", DEVICE).must()
    peers.put(rig, products.boot)
    rig.settle()
    first, second, third = chip.value("at()")[1], "v1.98.2", "v1.98.3"
    chip.must("version 1", ["ota_0", first, 1, 0], ["valid", "blank"])

    began = time.monotonic()
    size = line.send(2, another(line.application, second[1:]))
    told = [f"container of {size:,} bytes"]
    chip.work()
    seconds = time.monotonic() - began
    told.append(f"it stood still {chip.stood_still} times while that came, lost its power and went on")
    slot = line.slots["ota_1"]
    written = rig.board.read_flash(slot.offset, len(line.application))
    if written != another(line.application, second[1:]):
        raise RowFailedError("what is in the second slot is not what was sent")
    chip.must("version 2 is committed", ["ota_0", first, 1, 0], ["valid", "new"])
    chip.until("twinroot.ota.restart();twinroot.connect(wait=False)", "on trial", ["ota_1", second, 2, 0], ["valid", "pending"])
    chip.until("report()", "a handshake has proven both", ["ota_1", second, 2, 0], ["valid", "valid"])
    told.append(f"job {line.ended(2)}")
    rig.settle()
    chip.must("they stay", ["ota_1", second, 2, 0], ["valid", "valid"])
    told.append(_back(line, chip, third))
    return Took(seconds, ", ".join(told))


def _back(line: Line, chip: Chip, version: str) -> str:
    """Firmware that runs no boot.py, so that it is on no network. Its hours pass by the clock alone; everything else happens."""
    second = chip.value("at()")[:2]
    line.send(3, another(line.application, version[1:], b"toob.py"))
    chip.work()
    chip.until("twinroot.ota.restart();twinroot.connect(wait=False)", "on trial", ["ota_0", version, 3, 0], ["pending", "valid"])
    hours = comparisons = 0
    for _ in range(_ATTEMPTS):
        slot, _, _, refused = chip.value("at()")
        if refused == 3:
            break
        now = f"clock({int(time.time()) + 3700 * hours});"
        if slot == "ota_0":
            hours += 1
            now += f"attempt();clock({int(time.time()) + 3700 * hours});"
            chip.go(f"{now}twinroot._since=time.ticks_add(time.ticks_ms(),-3600000);attempt()")
        elif chip.go(f"{now}attempt()") == "ended":
            comparisons += 1  # with the set before; an hour later the firmware is started again
            hours += 1
    chip.rig.settle()
    chip.until("report()", "version 3 is rolled back and refused", [*second, 2, 3], ["aborted", "valid"])
    return f"firmware without a network: connected {comparisons} times without it, rolled back, job {line.ended(3)}"
