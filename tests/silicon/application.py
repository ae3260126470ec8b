"""An application that goes with its set (docs/device.md, "The application"), on stock firmware: by cable, over the air, back, and out."""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone
from pathlib import Path

from provisioning.errors import BoardError
from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from tests.footprint import WATCH
from tests.silicon import peers
from tests.silicon.product import DEVICE, Products
from tests.silicon.rig import BOOT, LIMIT, PROMPT, Rig, RowFailedError, Took, run
from tests.support.command import twinroot_command

_PASSPHRASE = {"TWINROOT_SIGNING_PASSPHRASE": "of a key that lives for one run"}
_TAKEN = 600.0  # s for a container to be taken on a chip whose flash is slow
_UNTIL_HELD = 20.0  # s from the boot loader until _HOLDS holds the board, with time for a slow chip
_SEEN = "seen on the console from power-on"
# Each says who runs, and in which set.
_APP = "import twinroot\nprint('application %s of set', twinroot.SET)\n"
_CRASHES = _APP + "1 / 0\n"
_HOLDS = _APP + "import micropython, time\ntime.sleep(8)\nmicropython.kbd_intr(-1)\nwhile True:\n    time.sleep_ms(50)\n"
_FEED = """
import umachine
umachine.RTC().datetime(%r)
import twinroot
%s
u = ota.Update()
with open('/update.bin', 'rb') as f:
    while not u.done:
        d = f.read(2048)
        if not d:
            break
        u.feed(d)
import uos
uos.remove('/update.bin')
print(u.done, u.number, max(coming, commit))
"""


class _Bench:
    """The product in versions, each with an application, and what is done with them."""

    def __init__(self, rig: Rig, products: Products) -> None:
        self.rig = rig
        self.place = products.one.parent
        self.plain = json.loads(products.one.read_text("utf-8"))
        if not (self.place / "vendor.pub.pem").exists():
            self._tool("sign", "new-key", self.place / "vendor.key.pem")

    def _tool(self, *arguments: str | Path) -> None:
        code, _, said = run(twinroot_command(*arguments), LIMIT, _PASSPHRASE)[1:]
        if code:
            raise RowFailedError(f"{' '.join(map(str, arguments[:2]))}: {said}")

    def product(self, version: int, app: str = "", name: str = "") -> Path:
        made = {**self.plain, "version": version, "updates": {"key": "vendor.pub.pem"}}
        if app:
            made["app"] = {"main": f"app-{version}.py"}
            (self.place / f"app-{version}.py").write_text(app % name, "utf-8")
        file = self.place / f"application-{version}.yaml"
        file.write_text(json.dumps(made, indent=1), "utf-8")
        return file

    def cable(self, product: Path, code: str = "pass") -> dict[str, object]:
        return self.rig.twinroot("update", product, "--device", DEVICE).must(code).report

    def air(self, product: Path) -> str:
        """A signed container, fed to ota.Update() on the board; the next start is that of what it brought."""
        out, container = self.place / f"out-{product.stem}", self.place / "update.bin"
        self._tool("render", product, "--device", DEVICE, "--out", out)
        self._tool("sign", "set", out, "--key", self.place / "vendor.key.pem", "--out", container)
        peers.put(self.rig, container)
        with open_port(self.rig.board.pty) as wire:
            repl = RawRepl(wire)
            repl.enter()
            try:
                said = repl.run(_FEED % (_now(), WATCH), _TAKEN).decode().split()
            except BoardError as error:
                raise RowFailedError(f"the container of {product.name}: {error.message}") from error
        if said[:1] != ["True"]:
            raise RowFailedError(f"the container of {product.name} was not taken: {said}")
        return f"set {said[1]} in {int(said[2]):,} bytes of heap, 2 KB at a time"

    def starts(self, *names: str) -> None:
        """After power-on the applications of these names start one after the other, the last of them for good. Raises RowFailedError."""
        rig = self.rig
        rig.off()
        with open_port(rig.board.pty) as wire:
            wire.discard()
            rig.board.power_on()
            said = bytearray()
            deadline = time.monotonic() + BOOT * len(names)
            last = b"application %s of set" % names[-1].encode()
            while time.monotonic() < deadline and not (_names(said) == list(names) and said.rfind(PROMPT) > said.rfind(last)):
                said += wire.read(0.5)
        if _names(said) != list(names):
            raise RowFailedError(f"started: {_names(said)}, not {list(names)}: {bytes(said[-600:])!r}")


def _now() -> tuple[int, ...]:
    """As machine.RTC takes it: no time server answers here."""
    now = datetime.now(timezone.utc)
    return now.year, now.month, now.day, 0, now.hour, now.minute, now.second, 0


def _names(said: bytes | bytearray) -> list[str]:
    """The applications that have said so, in order."""
    lines = [line.split() for line in said.decode(errors="replace").splitlines() if line.startswith("application ")]
    return [words[1] for words in lines if len(words) > 4]


def over_the_air(rig: Rig, products: Products) -> Took:
    """The first by cable, the next over the air, and back by cable. Seconds of all."""
    began = time.perf_counter()
    rig.start("blank")
    bench = _Bench(rig, products)
    bench.cable(bench.product(1, _APP, "one"))
    bench.starts("one")
    taken = bench.air(bench.product(2, _APP, "two"))
    bench.starts("two")
    rig.twinroot("rollback").must(generation=1)
    bench.starts("one")
    return Took(time.perf_counter() - began, f"{taken}; {_SEEN}")


def crashes(rig: Rig, products: Products) -> Took:
    """One that comes over the air and crashes: three starts, then the one before, and the version is refused."""
    began = time.perf_counter()
    rig.start("blank")
    bench = _Bench(rig, products)
    bench.cable(bench.product(1, _APP, "one"))
    crashing = bench.product(2, _CRASHES, "two")
    bench.air(crashing)
    bench.starts("two", "two", "two", "one")
    try:
        bench.air(crashing)
    except RowFailedError as error:
        if "not newer" in str(error):
            return Took(time.perf_counter() - began, f"three starts, then the one before; refused from then on, {_SEEN}")
        raise
    raise RowFailedError("a version that was rolled back was taken again")


def by_cable(rig: Rig, products: Products) -> Took:
    """Without one, with one, without, with another; one that holds the board, rescue, and the next. Seconds of all."""
    began = time.perf_counter()
    rig.start("blank")
    bench = _Bench(rig, products)
    bench.cable(bench.product(1))
    bench.cable(bench.product(2, _APP, "two"))
    bench.starts("two")
    bench.cable(bench.product(3))
    bench.starts("two")
    bench.cable(bench.product(4, _APP, "four"))
    bench.cable(bench.product(4, _APP, "four"), "unchanged")
    bench.starts("four")
    bench.cable(bench.product(5, _HOLDS, "five"))
    rig.boot()
    time.sleep(_UNTIL_HELD)
    done = rig.twinroot("rescue", port=rig.board.rfc2217).must(written=["/main.py.rescued"])
    bench.cable(bench.product(6, _APP, "six"))
    bench.starts("six")
    return Took(time.perf_counter() - began, done.report["message"])
