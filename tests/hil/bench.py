"""A board under test, virtual or real, and what tests do to it: one class, so that the tests cannot tell which it is."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl

if TYPE_CHECKING:
    from provisioning.job.report import Report
    from provisioning.virtual import VirtualBoard

DEVICE = "hil-0001"
OURS = ("/trust", "/lib/twinroot")

# Runs on the board only, and says so before anything else: on a computer's MicroPython `/` is the computer.
_GUARD = "import sys\nif sys.platform!='esp32': raise RuntimeError('this is not an ESP32 but '+sys.platform)\n"
_WIPE = (
    _GUARD
    + """import os
def rm(p):
    try: kind = os.stat(p)[0]
    except OSError: return
    if kind & 0x4000:
        for e in os.listdir(p): rm(p + '/' + e)
        os.rmdir(p)
    else: os.remove(p)
for p in %r: rm(p)
"""
)
_FOREIGN = (
    _GUARD
    + """import os, hashlib, json
found = {}
def walk(d):
    for e in os.ilistdir(d or '/'):
        p = d + '/' + e[0]
        if p in %r: continue
        if e[1] & 0x4000: walk(p)
        else:
            h = hashlib.sha256()
            with open(p, 'rb') as f:
                b = f.read(512)
                while b:
                    h.update(b)
                    b = f.read(512)
            found[p] = h.digest().hex()
walk('')
print(json.dumps(found))
"""
)
_HOLDS = _GUARD + "import json\nprint(json.dumps(json.load(open('/trust/'+open('/trust/active').read().strip()+'/set.json'))))\n"
_CHIP = _GUARD + "import json\nprint(json.dumps(sys.implementation._machine))\n"


def passed(report: Report) -> Report:
    """`report`, which must be a pass: where it is not, all that it says is the test's failure."""
    assert report.outcome == "pass", f"{report.code}: {report.message} {report.notes} {report.steps}"
    return report


@dataclass
class Bench:
    """One board. `virtual` is None for a real one."""

    port: str
    virtual: VirtualBoard | None = None
    folder: Path = field(default_factory=Path)

    @property
    def real(self) -> bool:
        return self.virtual is None

    # -- on the board --------------------------------------------------------------------------------------------

    def ask(self, code: str) -> Any:
        """Run `code`, which prints one JSON value, and return that; the board's own program is started again."""
        with open_port(self.port) as wire:
            repl = RawRepl(wire)
            repl.enter()
            answer = json.loads(repl.run(code).decode().splitlines()[-1])
            repl.leave()
        return answer

    def run(self, code: str) -> None:
        with open_port(self.port) as wire:
            repl = RawRepl(wire)
            repl.enter()
            repl.run(code)
            repl.leave()

    def machine(self) -> str:
        """`sys.implementation._machine`, such as "Generic ESP32S3 module with ESP32S3"."""
        return str(self.ask(_CHIP))

    def holds(self) -> dict[str, Any] | None:
        """The active set's set.json, None when there is none."""
        from provisioning.link.repl import DeviceException

        try:
            found: dict[str, Any] = self.ask(_HOLDS)
        except DeviceException as error:
            if "ENOENT" not in error.raised:
                raise
            return None
        return found

    def wipe(self) -> None:
        """Remove what twinroot writes, and nothing else: the board is as it was before its first update."""
        self.run(_WIPE % (OURS,))

    def foreign(self) -> dict[str, str]:
        """Path -> SHA-256 of every file that is not twinroot's."""
        found: dict[str, str] = self.ask(_FOREIGN % ((*OURS, "/rom"),))
        return found

    # -- the board's flash ---------------------------------------------------------------------------------------

    def flash_operations(self) -> int | None:
        """Programs and erases so far; None on a real board, which does not tell."""
        if self.virtual is None:
            return None
        counters = self.virtual.counters()
        return int(counters["flash_programs"] + counters["flash_erases"])

    # -- others' tools -------------------------------------------------------------------------------------------

    def mpremote(self, *arguments: str) -> str:
        """What `mpremote connect PORT ARGUMENTS` prints."""
        return _tool("mpremote", "connect", self.port, *arguments)

    def ampy(self, *arguments: str) -> str:
        """What `ampy --port PORT ARGUMENTS` prints. ampy opens device names only, no rfc2217://."""
        return _tool("ampy.cli", "--port", self.port, *arguments)


def _tool(module: str, *arguments: str) -> str:
    made = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 0, f"{module} {' '.join(arguments)}: {made.stdout}{made.stderr}"
    return made.stdout.replace("\r\n", "\n")
