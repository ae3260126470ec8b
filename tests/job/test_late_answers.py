"""A board that answers late, and one whose boot takes its time: prompts are counted right, and no boot is broken off."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from provisioning.job.update import update
from provisioning.job.verify import verify
from provisioning.link.port import open_port
from provisioning.link.repl import PROMPT, RawRepl
from provisioning.link.transport.frames import ACK, frame
from provisioning.link.transport.stream import StreamSession
from tests.job.conftest import Bench, put


@contextmanager
def asleep(pid: int, seconds: float) -> Iterator[None]:
    """The process `pid` gets no processor for `seconds`, as on a busy computer: all answers come late, and all at once."""
    os.kill(pid, signal.SIGSTOP)
    waker = threading.Timer(seconds, os.kill, (pid, signal.SIGCONT))
    waker.start()
    try:
        yield
    finally:
        waker.join()


@pytest.mark.parametrize("seconds", [0.3, 0.5, 0.7, 0.9, 1.2, 1.7])
def test_late_prompts_are_not_taken_for_answers(bench: Bench, seconds: float) -> None:
    with open_port(bench.port) as wire:
        repl = RawRepl(wire)
        with asleep(bench.board.pid, seconds):
            repl.enter()
            assert repl.run("print(6*7)").strip() == b"42"
        with asleep(bench.board.pid, seconds):
            repl.enter()
            assert repl.run("pass\n" * 100 + "print(6*7)").strip() == b"42"  # over raw paste
        assert repl.paste
        repl.leave()


def test_a_prompt_from_an_earlier_interrupt(bench: Bench) -> None:
    """What a first interrupt left on the line is not the answer to the second."""
    with open_port(bench.port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        wire.unread(PROMPT)
        repl.enter()
        assert repl.run("print(6*7)").strip() == b"42"


ENDLESS = "import time\nwhile True:\n time.sleep_ms(20)\n"


def test_a_restart_from_the_friendly_prompt(bench: Bench) -> None:
    """Control-B had left raw mode unseen, so the restart begins main.py: it is interrupted, and the board restarted as was meant."""
    put(bench, "/main.py", ENDLESS)
    with open_port(bench.port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        wire.write(b"\x02")
        assert wire.until(b">>> ", 20.0).endswith(b">>> ")
        began = time.monotonic()
        repl.soft_reset()
        assert time.monotonic() - began < 5.0
        assert repl.run("print(6*7)").strip() == b"42"


def test_a_frame_that_comes_after_the_receiver_has_ended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The board's acknowledgement was late, so the last frame was sent once more: the prompt reads it, control-B and all."""
    put(bench, "/main.py", ENDLESS)
    transfer = StreamSession.transfer

    def late(session: StreamSession) -> int:
        number = transfer(session)
        said = session.wire.until(b"\x04\x04>", 1.0)  # the receiver has ended
        session.wire.write(frame(2, b"\x02\x04\x02"))
        session.frames.resends += 1
        session.frames.received[:0] = said
        return number

    monkeypatch.setattr(StreamSession, "transfer", late)
    report = update(bench.product(), bench.device, bench.port, max_baud=115200)
    assert report.outcome == "pass", report.message
    assert report.wire["seconds"] < 10.0


def test_a_frame_that_comes_twice_is_acknowledged_again(bench: Bench) -> None:
    """Its acknowledgement was lost: the board has it, and says so instead of asking for the next one."""
    with open_port(bench.port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        session = StreamSession(repl)
        session.hello()
        expected = session.frames.sequence
        wire.write(frame(expected - 1 & 255, b"abcd"))
        word = bytes((ACK, expected, expected ^ 255))
        assert wire.until(word, 5.0).endswith(word)
        session.close()
        repl.leave()


def test_boot_is_not_interrupted(bench: Bench) -> None:
    """A boot.py that needs longer than any wait for a prompt runs to its end after a soft reset."""
    bench.run(
        "f=open('boot.py','w');f.write('import time\\ntime.sleep(5)\\nf=open(\"/booted\",\"a\")\\nf.write(\"x\")\\nf.close()\\n');f.close()"
    )
    with open_port(bench.port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        repl.run("import os\nif 'booted' in os.listdir('/'): os.remove('/booted')")
        repl.soft_reset()
        assert repl.run("print(open('/booted').read())").strip() == b"x"
        repl.soft_reset(0.5)  # one that takes too long is interrupted
        assert repl.run("print(open('/booted').read())").strip() == b"x"


def test_a_job_right_after_another(bench: Bench) -> None:
    """The board restarts when the second job interrupts: its boot is made up for, and the job passes."""
    bench.run("f=open('boot.py','w');f.write('import time,builtins\\ntime.sleep(0.3)\\nbuiltins.booted=1\\n');f.close()")
    product = bench.product()
    assert update(product, bench.device, bench.port).outcome == "pass"
    with open_port(bench.port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        assert repl.run("print(booted)").strip() == b"1"
        repl.leave()
    for _ in range(3):
        assert update(product, bench.device, bench.port).code == "unchanged"
        assert verify(bench.port).outcome == "pass"


def test_a_boot_that_an_interrupt_broke_off_is_repeated(bench: Bench) -> None:
    """The restart was heard by whoever had the port before; the next one interrupts in the middle of boot.py."""
    code = "import time,builtins\\nprint('half'+'way')\\ntime.sleep(1)\\nbuiltins.booted=1\\n"
    bench.run(f'f=open("boot.py","w");f.write("{code}");f.close()')
    with open_port(bench.port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        repl.leave()
        assert wire.until(b"halfway", 30.0).endswith(b"halfway")
    assert bench.run("print(booted)") == "1"
