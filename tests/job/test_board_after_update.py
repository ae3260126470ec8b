"""However an update ends, the board is at its old rate, takes a control-C, and runs its own program again."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from provisioning.job.update import update
from provisioning.link import native_usb
from provisioning.link.events import Event
from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from tests.job.conftest import Bench, put, small_bench
from tests.job.test_programs import READ_ONLY

Way = Callable[[Bench], None]


def passes(bench: Bench) -> None:
    assert update(bench.product(), bench.device, bench.port).outcome == "pass"


def unchanged(bench: Bench) -> None:
    passes(bench)
    assert update(bench.product(), bench.device, bench.port).code == "unchanged"


def refused(bench: Bench) -> None:
    assert update(bench.product(**{"virtual-esp32": "esp32-s3"}), bench.device, bench.port).code == "wrong-chip"


def device_fails(bench: Bench) -> None:
    put(bench, "/boot.py", READ_ONLY)
    assert update(bench.product(), bench.device, bench.port).code == "read-only"


def interrupted(kind: str, name: str) -> Way:
    """A person's control-C at a step, or in the middle of the bytes."""

    def way(bench: Bench) -> None:
        def listen(event: Event) -> None:
            half = event.kind == "bytes" and event.data["done"] > event.data["total"] // 2
            if event.kind == kind and (half or event.data.get("name") == name):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            update(bench.product(), bench.device, bench.port, events=listen)

    return way


def late(bench: Bench) -> None:
    """The same in the middle of the bytes, and the wire stands still for longer than a quiet board does: this computer is busy."""

    def listen(event: Event) -> None:
        if event.kind == "bytes":
            os.kill(bench.board.pid, signal.SIGSTOP)
            again = threading.Timer(0.4, os.kill, (bench.board.pid, signal.SIGCONT))
            again.start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        update(bench.product(), bench.device, bench.port, events=listen)


STEPS = ("transport", "plan", "transfer", "restart", "selftest")
WAYS = {
    "pass": passes,
    "unchanged": unchanged,
    "refused": refused,
    "device fails": device_fails,
    "bytes": interrupted("bytes", ""),
    "late": late,
}
WAYS |= {step: interrupted("step", step) for step in STEPS}


@pytest.mark.parametrize("name", WAYS)
def test_rate_and_control_c_are_as_before(bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    put(bench, "/main.py", "import builtins\nbuiltins.main_ran = 1\n")
    WAYS[name](bench)
    monkeypatch.setattr(RawRepl, "_find_rate", lambda self, said: False)  # the rate is right already, or this fails
    prompt = native_usb.wait(lambda: bench.board.log().endswith(">>> ") or None, 20.0)
    assert prompt, "the restart that lets the board's own program run"
    with open_port(bench.port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        assert repl.run("print(main_ran)").strip() == b"1"
        repl.start("print('go')\nwhile True: pass")
        assert wire.until(b"go\r\n", 10.0).endswith(b"go\r\n")  # a control-C ahead of the program is no interrupt of it
        wire.write(b"\x03")
        assert wire.until(b"KeyboardInterrupt", 20.0).endswith(b"KeyboardInterrupt")
        repl.enter()
        repl.leave()


class Bar:
    """What a progress bar is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, float]] = []

    def __call__(self, event: Event) -> None:
        if event.kind == "bytes":
            self.told.append(event.data)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("transport", ["stream", "paste"])
def test_a_payload_larger_than_the_heap_streams_through(tmp_path: Path, transport: str) -> None:
    """200 KB to a board with less heap than that, told as it goes: bytes, rate, time left."""
    dice = random.Random(1)
    with small_bench(tmp_path) as bench:
        (bench.folder / "big.py").write_text("".join(f"# {dice.randbytes(48).hex()}\n" for _ in range(2020)))
        bar = Bar()
        report = update(bench.product(more="app: {main: big.py}\n"), bench.device, bench.port, transport=transport, events=bar)
        assert (report.outcome, report.transport) == ("pass", transport), report.message
        assert bench.run("import os\nprint(os.stat('/main.py')[6])") == str(2020 * 99)
    done = [told["done"] for told in bar.told]
    assert done == sorted(done) and done[-1] == bar.told[-1]["total"] > 200_000
    assert all(told["rate"] > 0 and told["left"] >= 0 for told in bar.told) and bar.told[-1]["left"] == 0
