"""A board as a test has it: run code, call functions, watch output, read and write files, reset, cut the power, go back in time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from provisioning.errors import BoardError, StationError
from provisioning.hil import files, remote
from provisioning.hil.engines.engine import IMAGE, POWER, FlashOps, Hardware
from provisioning.hil.fs import BoardPath
from provisioning.hil.log import BoardLog
from provisioning.hil.raised import Segment
from provisioning.hil.session import Session

if TYPE_CHECKING:
    from provisioning.config.device import Device
    from provisioning.config.product import Product
    from provisioning.identity.on_board import OnBoard
    from provisioning.job.report import Report

TIMEOUT = 10.0  # seconds that a program of a test may take
_QUOTED = 60  # characters of a program in the list of events
_CLEAN = "clean"
_TAIL = 600  # characters of output in the message of an expectation
_HEAP = "import gc;gc.collect()"
_WHO = "(lambda m,s:(m.unique_id().hex(),s.implementation._machine,'.'.join(map(str,s.implementation.version[:3]))))(umachine,sys)"


class ExpectationFailed(AssertionError):
    """`expect` did not see its pattern in time."""


class Heap(NamedTuple):
    """Bytes of the interpreter's heap after a collection."""

    free: int
    allocated: int


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _QUOTED else f"{line[:_QUOTED]}…"


class Board:
    """One board of a test. Its port is opened when it is first used; to read `port` gives it up, so that a job or another tool can have it.

    Code that raises on the board raises here: BoardRaised, which is OSError, ValueError, … as well. A board that does not answer raises
    BoardError, a port or an engine that fails StationError, what the engine cannot do Unsupported (a skip, in a test).
    """

    def __init__(self, hardware: Hardware, baud: int = 115200) -> None:
        self.hardware = hardware
        self.log = BoardLog()
        self.log.ports.add(hardware.port)
        self.fs = BoardPath(self._evaluate)
        self.instrument: remote.Instrument = remote.as_is  # of functions, and of files: how coverage marks what runs
        self.instrument_file: Callable[[str, Path], str] = lambda source, file: source
        self.before_reset: Callable[[Board], None] = lambda board: None
        self._session = Session(baud)
        self._seen = 0  # how much of the output an expectation has consumed
        self._snapshots: dict[str, files.Files] = {}
        self._identity: dict[str, Any] | None = None
        self.broken: str = ""  # why the board could not be brought into a known state

    def __repr__(self) -> str:
        return f"<Board {self.hardware.engine} {self.hardware.port}>"

    @property
    def port(self) -> str:
        """The port, for a job or another program: the test's own connection to it is closed first."""
        self.release()
        return self.hardware.port

    @property
    def engine(self) -> str:
        return self.hardware.engine

    @property
    def real(self) -> bool:
        return self.hardware.real

    @property
    def can(self) -> frozenset[str]:
        """What the engine can do beside the prompt: "power", "cut", "image", "counters", "faults"."""
        return self.hardware.can

    @property
    def identity(self) -> Mapping[str, Any]:
        """mac, chip, machine (as the firmware names it), version of MicroPython, board type where it is known, engine, port."""
        if self._identity is None:
            from provisioning.job.selftest import chip_of

            uid, machine, version = self.eval(_WHO, first="import umachine,sys")
            mac = ":".join(uid[at : at + 2] for at in range(0, 12, 2))
            asked = {"mac": mac, "chip": chip_of(machine), "machine": machine, "micropython": version}
            self._identity = {**self.hardware.facts(), **asked, "engine": self.engine, "port": self.hardware.port}
        return self._identity

    @property
    def identity_known(self) -> str:
        """The MAC where it is known without asking, else empty."""
        return str((self._identity or self.hardware.facts()).get("mac", ""))

    # -- code --------------------------------------------------------------------------------------------------------

    def exec(self, code: str, timeout: float = TIMEOUT) -> str:
        """Run statements; what they printed. Names stay until a reset. Raises ProgramOverdue (a BoardError) after `timeout` seconds."""
        self.log.event(f"exec {_short(code)}")
        return self._session.run(self.hardware.port, code, timeout)

    def eval(self, expression: str, timeout: float = TIMEOUT, *, first: str = "") -> Any:
        """The value of an expression. `first`: statements before it. Raises TypeError for a value that is not a literal, such as a Pin."""
        self.log.event(f"eval {_short(expression)}")
        return self._evaluate(first, expression.strip(), timeout)

    def call(self, function: Callable[..., Any], *arguments: Any, timeout: float = TIMEOUT, **keywords: Any) -> Any:
        """Run a function of the test on the board: its source is sent with what it uses of its file (functions, classes, literals,
        imports), and its arguments, which are literals, as the result is. An `async` function is run by asyncio.run.

        Raises TypeError for what cannot be sent.
        """
        made = remote.program(function, arguments, keywords, self.instrument)
        self.log.event(f"call {function.__name__}{_short(repr(arguments))}")
        self._session.run(self.hardware.port, made.source, timeout, made.segments)
        return self._result()

    def start(self, code: str | Callable[..., Any], *arguments: Any, **keywords: Any) -> None:
        """Start statements, or a function as `call` does, and return at once. `expect` sees the output, `wait` the end."""
        segments: tuple[Segment, ...] = ()
        if not isinstance(code, str):
            code, segments = remote.program(code, arguments, keywords, self.instrument)
        self.log.event(f"start {_short(code)}")
        self._seen = len(self._session.output)
        self._session.start(self.hardware.port, code, segments)

    def wait(self, timeout: float = TIMEOUT) -> str:
        """What the program of `start` printed, when it has ended. Raises ExpectationFailed when it has not after `timeout` seconds."""
        if not self._session.wait(self.hardware.port, timeout):
            raise ExpectationFailed(f"The program did not end within {timeout:g} s. Its output ends with:\n{self._tail()}")
        return self._rest()

    def expect(self, pattern: str | re.Pattern[str], timeout: float = TIMEOUT) -> re.Match[str]:
        """The first match of a regular expression in what programs printed since the last match. Line ends are \\n.

        Raises ExpectationFailed, an AssertionError, when none came within `timeout` seconds; BoardRaised when the program of `start` ends
        with an exception before.
        """
        compiled = re.compile(pattern)
        self.log.event(f"expect {compiled.pattern!r}")
        deadline = time.monotonic() + timeout
        self._session.open(self.hardware.port)
        while True:
            text = self._rest()
            if match := compiled.search(text):
                self._seen += len(text[: match.end()].encode())
                return match
            left = deadline - time.monotonic()
            if left <= 0:
                raise ExpectationFailed(f"{compiled.pattern!r} did not come within {timeout:g} s. The output ends with:\n{self._tail()}")
            self._session.read(self.hardware.port, left)

    def interrupt(self) -> None:
        """Control-C to what runs, and the prompt."""
        self.log.event("interrupt")
        self._session.freed()
        self._session.prompt(self.hardware.port)

    # -- files -------------------------------------------------------------------------------------------------------

    def put(self, source: Path | str, target: str = "/") -> BoardPath:
        """Copy a file, or all of a folder, of this computer to the folder `target` of the board; the path there."""
        source = Path(source)
        there = self.fs / target / source.name
        self.log.event(f"put {source} {there}")
        if source.is_dir():
            there.mkdir(parents=True, exist_ok=True)
            for each in sorted(source.iterdir()):
                if each.name != "__pycache__":
                    self.put(each, str(there))
            return there
        there.parent.mkdir(parents=True, exist_ok=True)
        data = source.read_bytes()
        if source.suffix == ".py":
            data = self.instrument_file(data.decode("utf-8"), source).encode()
        there.write_bytes(data)
        return there

    # -- reset and power ---------------------------------------------------------------------------------------------

    def reset(self, how: str = "hard") -> None:
        """Restart the board and return at once; `expect` sees it boot, and its own main.py run.

        how: "hard" (the EN pin, or by its software where the port has no reset lines), "soft" (control-D), and causes that an engine plays:
        "watchdog", "brownout", "panic", …
        """
        self.before_reset(self)
        self.log.event(f"reset {how}")
        wire = self._session.open(self.hardware.port)
        self._seen = len(self._session.output)
        if how == "soft":
            self._session.prompt(self.hardware.port).leave()
        elif not self.hardware.reset(how):
            if how != "hard":
                raise self.hardware.unsupported(f"reset a board by {how!r}")
            if not wire.reset_board():
                self._session.prompt(self.hardware.port).start("import umachine\numachine.reset()")
        self._session.freed()

    def power_off(self) -> None:
        """Pull the plug."""
        self.log.event("power off")
        self.hardware.power_off()
        self._session.freed()

    def power_on(self) -> None:
        self.log.event("power on")
        self.hardware.power_on()
        self._session.freed()

    def power_cut(self, operations: int | None = None, *, seed: int = 0) -> None:
        """The power goes and comes back at once; with `operations` it goes in the flash operation after so many more, torn as `seed` has
        it: then `wait_off` and `power_on` follow. Raises Unsupported where the engine has no hand on the power."""
        if operations is None:
            self.power_off()
            self.power_on()
            return
        self.log.event(f"power cut after {operations} flash operations")
        self.hardware.cut(operations, seed)

    def wait_off(self, timeout: float = TIMEOUT) -> bool:
        """Whether the power is off, now or within `timeout` seconds."""
        return self.hardware.wait_off(timeout)

    def inject(self, fault: str) -> None:
        """A fault of the virtual board (docs/virtual-board.md): "drop=0.001", "full", "worn=513", …; gone with the test."""
        self.log.event(f"fault {fault}")
        self.hardware.inject(fault)

    # -- measures ----------------------------------------------------------------------------------------------------

    @property
    def heap(self) -> Heap:
        return Heap(*self.eval("(gc.mem_free(),gc.mem_alloc())", first=_HEAP))

    @property
    def flash_ops(self) -> FlashOps | None:
        """Flash operations so far; None where nobody counts them."""
        return self.hardware.flash_ops()

    # -- time travel -------------------------------------------------------------------------------------------------

    def snapshot(self, name: str = "default") -> None:
        """Remember what is in flash: the whole image where the engine has it, else every file."""
        self.log.event(f"snapshot {name}")
        if IMAGE in self.can:
            self.hardware.snapshot(name)
            self._session.freed()
        else:
            self._snapshots[name] = files.remember(self)

    def restore(self, name: str = "default") -> None:
        """Back to the snapshot: the board has restarted then. Raises BoardError where a file's content was too much to be remembered."""
        self.before_reset(self)
        self.log.event(f"restore {name}")
        if IMAGE in self.can:
            self.hardware.restore(name)
            self._session.freed()
            return
        lost = files.put_back(self, self._snapshots[name])
        self._fresh_interpreter()
        if lost:
            raise BoardError("snapshot-partial", f"{', '.join(lost)} on {self.hardware.port} cannot be put back.", "Write them again.")

    # -- known states (for fixtures) ---------------------------------------------------------------------------------

    def prepare(self, *, leave: tuple[str, ...] = ()) -> None:
        """The known state that a test begins with: nothing runs, the heap is new, faults are gone, the files are those of the board's first
        test, except below `leave`. Raises TwinrootError when the board cannot be had."""
        self.hardware.fresh()
        self.log.ports.add(self.hardware.port)
        self._session.freed()
        if not self.hardware.instant:
            self._recover()
            self._fresh_interpreter()
            if _CLEAN not in self._snapshots:
                self._snapshots[_CLEAN] = files.remember(self)
            elif lost := files.put_back(self, self._snapshots[_CLEAN], leave):
                self.log.event(f"changed by an earlier test, and not put back: {', '.join(lost)}")
        self._session.output.clear()
        self._seen = 0

    def provision(self, product: Product, device: Device) -> Report:
        """`twinroot update`, which must pass. Raises AssertionError with what the report says."""
        from provisioning.job.update import update

        report = update(product, device, self.port)
        assert report.outcome == "pass", f"{report.code}: {report.message} {report.notes}"  # noqa: S101
        return report

    def holder(self) -> OnBoard | None:
        """Whose device the board is: product, device and certificate of its set; None where it holds none."""
        from provisioning.link.question import who

        return who(self._session.prompt(self.hardware.port))[1]

    def release(self) -> None:
        """Give the port up; what runs on the board goes on."""
        self._session.close()

    def leave(self) -> None:
        """As it was found: the files of the first test, its own program running. For the end of a run."""
        if not self.hardware.instant and _CLEAN in self._snapshots:
            self._recover()
            files.put_back(self, self._snapshots[_CLEAN])
            self._session.prompt(self.hardware.port).leave()
        self.release()

    def close(self) -> None:
        self.release()
        self.hardware.close()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """The prompt, whatever a test has left: by interrupts, then by the reset that the engine has, then by its power."""
        try:
            self._session.prompt(self.hardware.port)
            return
        except (BoardError, StationError):
            self.log.event("no prompt: reset")
            if not self.hardware.reset("hard") and POWER not in self.can:
                raise
        try:
            self._session.freed()
            self._session.prompt(self.hardware.port)
        except (BoardError, StationError):
            if POWER not in self.can:
                raise
            self.log.event("no prompt: power cycle")
            self.power_off()
            self.power_on()
            self._session.prompt(self.hardware.port)

    def _fresh_interpreter(self) -> None:
        self._session.prompt(self.hardware.port).soft_reset()

    def _evaluate(self, first: str, expression: str, timeout: float = TIMEOUT) -> Any:
        self._session.run(self.hardware.port, f"{first}\n{remote.RESULT}=(\n{expression}\n)", timeout)
        return None if expression == "None" else self._result()

    def _result(self) -> Any:
        text = self._session.prompt(self.hardware.port).value(f"repr({remote.RESULT})")
        return remote.value_of(str(text))

    def _rest(self) -> str:
        return bytes(self._session.output[self._seen :]).decode("utf-8", "replace")

    def _tail(self) -> str:
        return bytes(self._session.output[-_TAIL:]).decode("utf-8", "replace")
