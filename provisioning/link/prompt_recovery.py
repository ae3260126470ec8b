"""Ways to the prompt of a board whose program blocks the REPL, beside those of every connection (repl.py).

Each takes the RawRepl and what the board has said so far, and tells whether a prompt showed.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from provisioning.link import agent, rates

if TYPE_CHECKING:
    from provisioning.link.repl import RawRepl

# A folder of a computer that was mounted on the board (mpremote mount, mpytool mount): the board asks with 0x18 and a command, and waits
# for 0x18 and a result. Source: RemoteCommand in mpremote's transport_serial.py; mount.py of mpytool. The result is an error, -1, in
# either of the two sizes that a result has.
_ASKS = re.compile(rb"\x18[\x01-\x0e]")
_NO_SUCH_FILE = b"\x18\xff\xff\xff\xff"
_QUESTIONS = 40  # files that one import asks for, at most
_RESTARTED = (b"KeyboardInterrupt", b"rst:0x")
LITTLE = 32 * 1024  # bytes of free heap below which a transfer beside what a program has left would fail
_LONG_WATCHDOG = 600_000  # ms; a dog that was let loose cannot be tied up again, only given more patience
_PATIENT = f"__import__('umachine').WDT(timeout={_LONG_WATCHDOG})"
SLEEPS = re.compile(rb"\bD(?:EEP)?SLEEP")  # the ROM's word for the cause of a start: DEEPSLEEP_RESET on the ESP32, DSLEEP on later chips
_SHIFT = 1.5  # seconds of them between two looks for the prompt
_WAKES = 12.0  # seconds of interrupts at a board that sleeps and wakes


def restarted(repl: RawRepl) -> bool:
    """Whether the last interrupt stopped a program, or met a board that was starting: it may have left something."""
    return any(word in repl.said for word in _RESTARTED)


def clear_leftovers(repl: RawRepl, boot: float = 30.0) -> list[str]:
    """What a program that was just interrupted has left is put right: a watchdog that nobody feeds now gets a longer time, and a heap with
    next to nothing free is emptied by a soft reset, for which boot.py has `boot` seconds. The words of answers.HOLDS for what was there."""
    from provisioning.link.repl import DeviceException

    found = []
    try:
        free, _, bitten = repl.run(agent.small("left")).decode("ascii", "replace").partition(" ")
        if bitten.strip() == "True":
            repl.run(_PATIENT)
            found.append("watchdog")
        scarce = int(free) < LITTLE
    except (DeviceException, ValueError):
        scarce = True  # too little even for this question
    if scarce:
        repl.soft_reset(boot)
        found.append("heap")
    return found


def answer_mount(repl: RawRepl, said: bytearray) -> bool:
    """A board that waits for files of a computer which is gone hears that there are none, until it gives up its import."""
    if said and not _ASKS.search(said):
        return False  # it says something, and not that; a silent board may have asked before this port was opened
    for _ in range(_QUESTIONS):
        repl.wire.write(_NO_SUCH_FILE)
        received = bytearray()
        if repl.interrupt(0.3, received):
            said += received
            return True
        said += received
        if not _ASKS.search(received):
            return False
    return False


def find_slow_rate(repl: RawRepl, said: bytearray) -> bool:
    """The program has set the UART of the prompt to another rate: it is interrupted there, and the rate is put back."""
    if repl.wire.native:
        return False
    home = repl.wire.home_baud
    for rate in rates.SET_BY_PROGRAMS:
        if not repl.wire.takes(rate):
            continue
        received = bytearray()
        there = repl.interrupt(0.3 + 600 / rate, received)
        if there:
            repl.set_rate(home)
            time.sleep(0.05 + 100 / rate)  # the answer leaves at the old rate
        repl.wire.baud = home
        repl.wire.discard(0.02, 0.2)
        if there and repl.interrupt(0.3, said):
            return True
    return False


def interrupt_across_wakes(repl: RawRepl, said: bytearray) -> bool:
    """A board that goes to sleep as soon as it is awake hears control-C in the moments between."""
    if not SLEEPS.search(said):
        return False
    ended = time.monotonic() + _WAKES
    while time.monotonic() < ended:
        if repl.interrupt_until_prompt(said, _SHIFT, limit=_SHIFT, dense=True):
            return True
    return False
