"""The power-cut harness: a real MicroPython runs the device's own code of an update against a flash whose power goes at every operation.

Everything of the device is real but the flash, which is in RAM so that thousands of states take minutes: littlefs, the code that the
transports send, the connection package and its self-report. tests/job/power_cut_device.py is the part that runs there.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning.bundle.bundle import MAIN_FILE, PACKAGE_HOME, runner
from provisioning.bundle.compile import package
from provisioning.bundle.pack import pack
from provisioning.link import agent
from provisioning.link.payload import Payload
from provisioning.link.transport.stream import record
from provisioning.resources import folder

# What selftest() needs of the connection package: fewer files, more states in the same time.
MODULES = ("core", "check", "sets", "slots", "stats", "clock", "errors", "policy", "tlslink")


@dataclass(frozen=True)
class Outcome:
    """How many states were tried, and which set the device came up with after the first cut.

    `images`: different contents of the flash after cuts of the line. Bytes that had not reached the flash leave the same one, which is
    judged once.
    """

    states: dict[str, int]
    seen: dict[str, int]
    images: int

    @property
    def total(self) -> int:
        return sum(self.states.values())


def payload(name: str, *, code: str = "", root: str = "AmazonRootCA1", app: str = "", main: str = "") -> Payload:
    """A small real set: root, device certificate and key, the connection package's core. `code` changes the package; `app` is an
    application in the set, `main` one that is /main.py."""
    made = package(6)
    modules = {file: content for file, content in made.modules.items() if file.rsplit(".", 1)[0] in MODULES}
    if code:
        modules["note.py"] = f"# {code}\n".encode()
    digest, content = pack(modules)
    certs = folder("certs")
    trust = {
        f"{root}.pem": (certs / f"{root}.pem").read_bytes(),
        "device.crt.pem": (certs / "AmazonRootCA3.pem").read_bytes(),
        "device.key.pem": f"-----BEGIN KEY-----\n{name}\n-----END KEY-----\n".encode(),
    }
    if app:
        trust[MAIN_FILE] = f"ran.append({app!r})\n".encode()
    lib = {f"{PACKAGE_HOME}/{digest}": content}
    hashes = {file: hashlib.sha256(data).hexdigest() for file, data in {**trust, **lib}.items()}
    lib[f"{PACKAGE_HOME}/__init__.py"] = made.loader
    if app or main:
        lib[f"/{MAIN_FILE}"] = runner() if app else f"ran.append({main!r})\n".encode()
    route = {"name": "ats", "host": "x-ats.iot.us-east-1.amazonaws.com", "port": 8883, "roots": [root]}
    made_set = {"format": 1, "product": "cut", "version": 1, "device": name, "board": "virtual-esp32", "chip": "esp32"}
    made_set |= {"package": digest, "routes": [route], "client_id": name, "cert": "device.crt.pem", "key": "device.key.pem"}
    made_set |= {"time": {"servers": ["pool.ntp.org"], "floor": 1767225600}, "files": hashes}
    trust["set.json"] = json.dumps(made_set, sort_keys=True, separators=(",", ":")).encode()
    return Payload(trust, lib)


def _told(one: Payload) -> dict[str, Any]:
    return {
        "text": one.set_json,
        "blank": one.blank_set_json,
        "sha": one.set_sha256,
        "sizes": [len(item.content) for item in one.items],
        "rest": [[item.name, item.sha256] for item in one.rest],
        "records": [record(item) for item in one.items],
        "contents": [item.content for item in one.items],
    }


def run(
    sets: dict[str, Payload],
    pairs: Sequence[tuple[Sequence[str], str]],
    *,
    step: int,
    offset: int,
    wire: int,
    seed: int,
    programs: dict[str, str] | None = None,
) -> Outcome:
    """Cut updates from the sets of each pair's first part to its second at every `step`-th flash operation, and at every `wire`-th byte.
    `programs`: set -> the application that has to run where that set is in use.

    Raises AssertionError with what the device found when a state is lost.
    """
    work = {"pairs": [[list(have), want] for have, want in pairs], "step": step, "offset": offset, "wire": wire}
    device = {name: agent.small(name) for name in ("hello", "write", "first", "sets", "store")}
    head = f"DEVICE={device!r}\nSETS={ {name: _told(one) for name, one in sets.items()}!r}\nSEED={seed}\nWORK={work!r}\n"
    head += f"PROGRAMS={ {sets[name].set_sha256: program for name, program in (programs or {}).items()}!r}\n"
    body = (Path(__file__).parent / "power_cut_device.py").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="power-cut-") as place:
        script = Path(place, "states.py")
        script.write_text(head + body, encoding="utf-8")
        micropython = Path(sys.executable).with_name("micropython")
        done = subprocess.run(
            [str(micropython), "-X", "heapsize=12M", "states.py"], cwd=place, capture_output=True, text=True, timeout=7200, check=False
        )
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines or '"states"' not in lines[-1]:
        raise AssertionError((done.stdout[-1500:] + done.stderr[-1500:]).strip())
    last = json.loads(lines[-1])
    return Outcome(last["states"], last["seen"], last["images"])
