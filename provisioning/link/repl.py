"""MicroPython's raw REPL: enter it, run code, leave it. Every wait has an end, and what the board said instead becomes a sentence.

Protocol: docs.micropython.org/en/latest/reference/repl.html, "Raw mode and raw-paste mode".
"""

from __future__ import annotations

import os
import random
import re
import time
import zlib
from collections.abc import Callable
from typing import Any

from provisioning.errors import BoardError
from provisioning.link import prompt_recovery, rates
from provisioning.link.answer_check import senseless
from provisioning.link.patience import LOOK, PROGRAM, TOTAL
from provisioning.link.wire import RETURNED, Wire
from provisioning.parsed import literal

PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
RING = 256  # bytes that may be under way: the receive ring of an ESP32 holds 260 and drops the rest silently
INTERRUPT = b"\r\x03\x03"
PASTE = b"\x05A\x01"  # asks for raw paste mode
BUSY = b"\x16"  # what our code on the board says between pieces of work: a sign of life, and no part of any answer
PATIENCE = 4.5  # seconds without a byte until a receiver gives the board back: firmware/link/core.py
_BOOT = 3.0  # seconds from a reset to the first word of the boot loader
_BOOTING = 12.0  # seconds from a reset to main.py when the boot loader speaks: PSRAM is tested, slow flash is mounted
_QUIET_BOOT = 30.0  # the same when nothing but the boot loader has spoken so far
_SILENT_BOOT = 10.0  # seconds for the end of a boot whose beginning was not heard
RESET = b"rst:0x"  # the ROM's first word after a reset
# What a boot says; who interrupts a board that starts may hear no more than its last words, after which slow flash is mounted in silence.
_BOOTS = re.compile(rb"rst:0x|SPIWP:|clk_drv:|load:0x|entry 0x|MPY: soft reboot")
# Seconds between two control-C where the moment that has to be hit is short. The chip takes what arrives without a break as one interrupt
# of up to 120 bytes, and ends one at a pause of a byte's time (RXFIFO_FULL_THR and RXFIFO_RX_TIMEOUT in MicroPython's ports/esp32/uart.c):
# a full line would be one control-C in 10 ms.
_DENSE = 0.001
_ANSWER = 5.0  # seconds for what the prompt answers without looking at flash
_MOST = 1 << 20  # bytes that a program may print
_KEPT = 4096  # bytes of what the board said
_TICK = 0.5  # seconds of one look at a silent line
_PIECE = 96  # bytes
_TRIES = 60  # a self-report has a dozen pieces
_PROBE = 8.0  # seconds of silence of a program after which the prompt is asked for
# The traceback of a boot.py that a interrupt interrupted; called from a program, its functions stand below that program's line. The prompt
# that follows it hides nothing: MicroPython goes on to main.py and the prompt, with half of boot.py done.
_BOOT_BROKEN_OFF = re.compile(rb'Traceback \(most recent call last\):\s+File "_?boot\.py"(?:(?!Traceback).)*KeyboardInterrupt', re.DOTALL)
_RESTARTED = re.compile(rb"(?:^|\n)rst:0x[0-9a-f]+ \(")  # a line of the ROM's in the middle of an answer
_OUTPUT = re.compile(rb"([^\x04]*)\x04([^\x04]*)\x04>", re.DOTALL)  # what a program printed, its traceback, the prompt
_HELD = 0.5  # seconds without a word from a chip's own USB port after which it may hold back full packets, until it has more to say
_AGAIN = 2.0  # seconds for an answer behind a late greeting, or for no answer at all
_ASK_AGAIN = 2.0  # seconds until a prompt after a soft reset is asked for: a boot.py may take its time


class LinkBroken(BoardError):
    """The line gave out under an exchange: this session cannot go on, a new one may."""


class ProgramOverdue(LinkBroken):
    """A program on the board did not end within the time that its caller gave it."""


class BoardRestarted(LinkBroken):
    """The chip restarted while a program of ours ran on it: a crash, a watchdog, the power."""


class RateLate(LinkBroken):
    """The board did not answer at a raised rate in time: time was the reason, which a lower rate does not give."""


class ReceiverEnded(LinkBroken):
    """The receiver on the board ended in the middle. `raised`: its last line, as MicroPython prints an exception; empty for none."""

    raised = ""


class DeviceException(BoardError):
    """Code of ours raised an exception on the board. `raised`: its last line, as MicroPython prints it."""

    def __init__(self, port: str, raised: str) -> None:
        hint = "Run the command again with --debug; if it repeats, the board's flash or memory may be bad."
        super().__init__("device-exception", f"The board on {port} raised {raised}", hint)
        self.raised = raised


RETRY = "Run the same command again: it goes on with what has arrived. If it repeats, use a shorter cable or a lower rate."


def _booting(received: bytearray) -> float:
    """Seconds that a boot may take. The boot loader says some 600 bytes; who has said more runs, and is not a board with slow flash."""
    return _QUIET_BOOT if len(received) < 1500 else _BOOTING


class RawRepl:
    """The raw REPL over a Wire. `enter` first; `run` as often as needed; `leave` starts the board's own program again."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.paste: bool | None = None  # whether raw paste is there; None until asked
        self._interrupted = False  # whether an answer to an earlier interrupt may still be on its way
        self._asked = False  # whether the prompt was asked for while an answer was waited for: its greeting follows that answer
        self.hold: str | None = None  # why the first interrupt was not enough: a word of answers.HOLDS
        self.persisted = False  # whether one interrupt was not enough, for whatever reason
        self.said = b""  # what the board said while it was interrupted, its end

    # -- entering ----------------------------------------------------------------------------------------------------

    def enter(self, patience: float = 8.0, *, make_up: bool = True, boot: float = _QUIET_BOOT) -> None:
        """Interrupt what runs and get the raw prompt. Sets `hold` when it took more than a interrupt, and `said`.

        Tries, in this order: interrupt once; repeat for about a second, which also ends a receiver of ours whose host died; the answer that
        a mounted folder's reader waits for; the rates that such a host may have left; the silence after which its receiver ends by
        itself; a burst of interrupts, of which one may hit the handler of a program that catches them; lower rates; a reset through
        the control lines with interrupts while it boots, before its program can switch them off; the moments between two sleeps. A boot
        that the interrupt broke off is made up for, unless `make_up` is False. `boot`: seconds that a boot may take.
        Raises BoardError with what the board says instead (link/board_messages.py) after about `patience` seconds.
        """
        said = bytearray()
        try:
            self._enter(patience, said, boot)
        finally:
            self.said = bytes(said[-_KEPT:])
        broken_off = _BOOT_BROKEN_OFF.search(said)
        if broken_off and self.hold is None:
            self.hold = "boot"
        if make_up and (broken_off or self.hold == "mount"):
            self.soft_reset()  # what boot.py did not come to is missing; a mounted folder is still in the way

    def _enter(self, patience: float, said: bytearray, boot: float = _QUIET_BOOT) -> None:
        started = time.monotonic()
        again, self._interrupted = self._interrupted, True
        self.wire.baud = self.wire.home_baud
        if self.interrupt(0.35, said) and (not again or self._synchronise()):
            return None
        self.persisted = True
        for hold, attempt in self._attempts(boot):
            if attempt(said) and self._synchronise():
                self._held(hold, said)
                return None
        while self.wire.has_lines and time.monotonic() - started < patience:
            if self._restart(said, boot) and self._synchronise():
                return self._held("program", said)
        from provisioning.link.board_messages import explain

        self.wire.write(b"\r\nAT\r\n")  # what a modem's firmware answers to; it says nothing otherwise
        said += self.wire.discard(0.2, 0.5)
        raise explain(bytes(said[-_KEPT:]).replace(RETURNED, b""), self.wire.name)

    def _restart(self, said: bytearray, boot: float) -> bool:
        """A reset, and interrupts from its first moment on: they reach the program before it can catch them or switch them off.

        A computer that is busy in that short moment comes too late, and cannot tell a program that is deaf by then from a boot that takes
        long: the first resets are given the time of a usual boot, the last one that of a slow boot.
        """
        self.wire.baud = self.wire.home_baud
        before = len(said)
        for limit in (_BOOT, _BOOT, _BOOT, boot):
            del said[before:]  # boots that were asked for are no board that restarts over and over
            if not self.wire.reset_board():
                return False
            if self.interrupt_until_prompt(said, _BOOT, limit=limit, dense=True):
                return True
            if RESET not in said[before:]:
                return False  # no boot was seen, so there is no moment of it to hit
        return False

    def _held(self, hold: str | None, said: bytes | bytearray) -> None:
        """Why the first interrupt was not enough: a program that sleeps at once catches nothing."""
        self.hold = "sleep" if hold == "program" and prompt_recovery.SLEEPS.search(said) else hold or self.hold

    def _attempts(self, boot: float) -> tuple[tuple[str | None, Callable[[bytearray], bool]], ...]:
        """What is tried after the first interrupt, in this order: what held the board when it helps, None for nothing worth a word."""
        return (
            (None, self._again),
            ("mount", lambda said: prompt_recovery.answer_mount(self, said)),
            (None, self._find_rate),
            (None, self._wait_for_boot),
            ("program", self.interrupt_until_prompt),
            ("rate", lambda said: prompt_recovery.find_slow_rate(self, said)),
            ("program", lambda said: self._restart(said, boot)),
            ("sleep", lambda said: prompt_recovery.interrupt_across_wakes(self, said)),
        )

    def _synchronise(self, seconds: float = 2.0) -> bool:
        """Whether the board runs what it is sent, and everything that it had to say before that is read.

        After a second interrupt two prompts are due, and a late one must not be taken for the answer to what is sent next: the board
        answers in order, so a word that was never sent before ends the wait.
        """
        word = os.urandom(4).hex().encode()
        self.wire.write(b"print('%s')\x04" % word)
        return self.wire.until(word, seconds).endswith(word) and self.wire.until(b"\x04\x04>", 0.5).endswith(b"\x04\x04>")

    def resume(self) -> bool:
        """Whether the prompt is there, after what else may be on its way."""
        return self.interrupt(0.5, bytearray()) and self._synchronise()

    def _again(self, said: bytearray) -> bool:
        return any(self.interrupt(0.3, said) for _ in range(3))

    def _find_rate(self, said: bytearray) -> bool:
        """A broken run may have left the board at a raised rate: at a prompt, or in a receiver that still waits for its host."""
        for rate in self._other_rates():
            if not self.wire.takes(rate):
                continue  # no host on this adapter has left the board there
            self.wire.write(b"\0" * (RING // 2))  # completes a frame that was broken off, so that the receiver hears what follows
            self.wire.discard(0.03, 0.2)
            if self.interrupt(0.12, bytearray()):
                self.set_rate(self.wire.home_baud)
                time.sleep(0.05)
            self.wire.baud = self.wire.home_baud
            self.wire.discard(0.01, 0.1)
            if self.interrupt(0.12, said):  # a receiver that is ended sets the old rate by itself
                return True
        return False

    def _wait_for_boot(self, said: bytearray) -> bool:
        """A board that is busy with flash, or boots, reads nothing yet: the interrupt waits in its ring, and the answer comes late. What
        could not be read may be a receiver at a raised rate: it gives the board back when nothing is said to it."""
        boots = _BOOTS.search(said)
        if said and all(byte < 0x80 for byte in said) and not boots:
            return False
        received = bytearray()
        started = time.monotonic()
        limit = _booting(said) if boots else PATIENCE + 0.5 if said else _SILENT_BOOT
        while time.monotonic() - started < limit and not received.endswith(PROMPT) and received.count(RESET) < 3:
            received += self.wire.read(0.2)
            if _BOOTS.search(received):
                limit = _booting(received)
            self.wire.announce(time.monotonic() - started, limit)
        said += received
        return received.endswith(PROMPT) or self.interrupt(0.3, said)

    def _other_rates(self) -> tuple[int, ...]:
        return () if self.wire.native else tuple(rate for rate in rates.LEFT_OVER if rate != self.wire.home_baud)

    def interrupt(self, seconds: float, said: bytearray) -> bool:
        self.wire.write(INTERRUPT + b"\x01")
        deadline = time.monotonic() + seconds
        received = bytearray()
        while time.monotonic() < deadline:
            received += self.wire.read(max(0.0, deadline - time.monotonic()))
            if received.endswith(PROMPT):
                said += received
                return True
        said += received
        return False

    def interrupt_until_prompt(self, said: bytearray, seconds: float = 0.5, *, limit: float = _QUIET_BOOT, dense: bool = False) -> bool:
        """Control-C for `seconds`, or until a prompt shows, the next one as soon as the board says something, then a interrupt.

        The pauses differ, so that not each of them hits the same place of a loop. `dense`: as many as the chip can tell apart, where the
        moment that has to be hit is short: a boot, a wake. A board whose boot loader speaks gets the time of a slow boot, `limit`, unless
        it starts over and over.
        """
        started = time.monotonic()
        received = bytearray()
        while time.monotonic() - started < seconds and b">>> " not in received and received.count(RESET) < 3:
            count = 1 if dense else random.choice((1, 1, 2, 3))
            self.wire.write(b"\x03" * count)
            received += self.wire.glance(_DENSE if dense else random.uniform(0.001, 0.025))
            if RESET in received:
                seconds = max(seconds, min(limit, _booting(received)))
        said += received + self.wire.discard(0.03, 0.3)
        return self.interrupt(0.3, said)

    def set_rate(self, rate: int) -> None:
        """The board's UART to `rate`; what it says of that leaves at one of the two rates, and is not waited for."""
        self.run(f"__import__('umachine').UART(0,baudrate={rate})", follow=False)

    # -- running code ------------------------------------------------------------------------------------------------

    def run(self, source: str | bytes, seconds: float = 0.0, *, follow: bool = True, paced: bool = False) -> bytes:
        """Run `source` and return what it printed. Raises DeviceException with the board's last line.

        `seconds`, `paced`: as `follow` has them.
        """
        code = source.encode() if isinstance(source, str) else source
        if self.paste is False or len(code) < RING:
            self._send_plain(code)
        else:
            self._send_paste(code)
        return self.follow(seconds, paced=paced) if follow else b""

    def has_raw_paste(self) -> bool:
        """Whether the board has raw paste mode (MicroPython 1.14), asked once."""
        if self.paste is None:
            self._send_paste(b"pass")
            self.follow()
        return bool(self.paste)

    def outcome(self, source: str | bytes, seconds: float) -> tuple[bytes, bytes]:
        """Run `source`; what it printed, and its traceback, empty for none. Raises ProgramOverdue when it has not ended after
        `seconds`, whatever it prints, and BoardRestarted when the chip restarts meanwhile."""
        self.run(source, follow=False)
        return self._ended(seconds, paced=False, most=seconds)

    def start(self, source: str | bytes, *, asked: bool = False) -> None:
        """Start `source` and return as soon as the board has taken it; what it prints is the caller's to read.

        `asked`: PASTE was written already, behind what the program before this one was waiting for.
        """
        if asked:
            self._send_paste(source.encode() if isinstance(source, str) else source, asked=True)
        else:
            self.run(source, follow=False)

    # The frame of an answer is not a file of firmware/link: it is part of this protocol, and goes to boards of which nothing is known yet.

    def value(self, expression: str | bytes, seconds: float = 0.0, *, first: str = "") -> Any:
        """The value of an expression on the board, as `repr` writes it, with a check sum. An answer that came damaged is asked for once
        more, piece by piece. `first`: statements before it, which may print empty lines as signs of life. Raises LinkBroken when the line
        lets no piece through."""
        code = expression.encode() if isinstance(expression, str) else expression
        text = self.run(first.encode() + b"import ubinascii\n_r=repr(" + code + b")\nprint(_r,ubinascii.crc32(_r))", seconds)
        body, _, check = text.strip().rpartition(b" ")
        if not check.isdigit() or int(check) != zlib.crc32(body):
            body = self._in_pieces()
        try:
            return literal(body)
        except ValueError:
            raise senseless(self.wire.name) from None

    def _in_pieces(self) -> bytes:
        """What value() has left on the board, in pieces so short that even a bad line lets one through now and then."""
        done = b""
        for _ in range(_TRIES):
            at = len(done)
            code = b"_p=_r[%d:%d]\nprint(_p,ubinascii.crc32(_p),ubinascii.crc32(_r))" % (at, at + _PIECE)
            try:
                piece, check, whole = self.run(code).rstrip(b"\r\n").rsplit(b" ", 2)
                if int(check) != zlib.crc32(piece):
                    continue
                done += piece
                if int(whole) == zlib.crc32(done):
                    return done
            except ValueError:
                continue
            except BoardError:
                self.enter()  # the line changed the request, or swallowed a part of the answer
        raise LinkBroken("bad-answer", f"The line to the board on {self.wire.name} damages every answer.", RETRY)

    def _send_plain(self, code: bytes) -> None:
        """The raw REPL without flow control: fit for what the receive ring holds; longer code goes slowly."""
        for at in range(0, len(code), RING // 2):
            self.wire.write(code[at : at + RING // 2])
            if len(code) >= RING:
                time.sleep(0.01 + 1280 / self.wire.baud)  # the time of half a ring on the wire, and a pause to drain it
        self.wire.write(b"\x04")
        got = self._answer()
        if got != b"OK":
            raise self._confused(got)

    def _answer(self) -> bytes:
        """The two bytes in which the prompt answers. A greeting before them was asked for by an earlier interrupt, and came late."""
        got = self.wire.take(2, _HELD if self.wire.native else _ANSWER)
        if not got and self.wire.native:
            self._asked = True
            self.wire.write(b"\x01")
            got = self.wire.take(2, _ANSWER)
        while got == PROMPT[:2] and self.wire.until(PROMPT[2:], _ANSWER).endswith(PROMPT[2:]):
            got = self.wire.take(2, _AGAIN)
        return got

    def _send_paste(self, code: bytes, *, asked: bool = False) -> None:
        if not asked:
            self.wire.write(PASTE)
        reply = self._answer()
        if reply != b"R\x01":
            self.paste = False
            if reply == b"R\x00":
                return self._send_plain(code)
            # Before MicroPython 1.14 the three bytes are an empty command and a new greeting.
            self.wire.discard()
            if not self.resume():
                raise self._confused(reply)
            return self._send_plain(code)
        self.paste = True
        grant = int.from_bytes(self.wire.take(2, _ANSWER), "little")
        room = grant
        at = 0
        while at < len(code):
            waiting = self.wire.read(_ANSWER) if room == 0 else b""
            if room == 0 and not waiting:
                raise self._confused(b"")
            if waiting.strip(b"\x01"):
                raise self._confused(waiting)
            room += grant * len(waiting)
            take = min(room, len(code) - at)
            self.wire.write(code[at : at + take])
            at += take
            room -= take
        self.wire.write(b"\x04")
        ended = self.wire.until(b"\x04", _ANSWER)
        if not ended.endswith(b"\x04"):
            raise self._confused(ended)
        return None

    def follow(self, seconds: float = 0.0, *, paced: bool = False) -> bytes:
        """What the running code prints, until it ends.

        A program that says nothing is waited for as long as this board may need (link/patience.py), for `seconds` at least. `paced`: the
        first that it prints comes after a look at the flash, so that the time it took tells how fast this board is.
        """
        output, error = self._ended(seconds, paced)
        if error:
            last = error.decode("utf-8", "replace").strip().splitlines()[-1]
            if last.startswith(("SyntaxError", "IndentationError")):  # never in what was sent: the line changed it
                raise LinkBroken("line-noisy", f"The line on {self.wire.name} damages what is sent.", RETRY)
            raise DeviceException(self.wire.name, last)
        return output

    def _ended(self, least: float, paced: bool, most: float = 0.0) -> tuple[bytes, bytes]:
        """What the program printed, and the traceback that it ended with. A control-A after each silence finds out whether the prompt is
        back: then the end of the answer was lost on the way. `most`: seconds after which even a program that prints is given up; with it
        a restart of the chip ends the wait."""
        started = word = asked = time.monotonic()
        data = bytearray()
        probes, self._asked = int(self._asked), False
        patience = _HELD if self.wire.native else _PROBE
        while (match := _OUTPUT.match(data)) is None:
            more = self.wire.read(min(_TICK, most) if most else _TICK)
            now = time.monotonic()
            if more:
                if paced and not data:
                    self.wire.pace.learn(now - started, look=True)
                data += more
                word = asked = now
            if most and (now - started > most or _RESTARTED.search(data)):
                raise self._overdue(data, now - started)
            limit = max(least, self.wire.pace.bound(LOOK if paced and not data else PROGRAM))
            if now - word > limit or now - started > max(least, TOTAL) or len(data) > _MOST:
                message = f"The board on {self.wire.name} gave no sign of life for {now - word:.0f} s while a program ran on it."
                if now - word < limit:
                    message = f"The board on {self.wire.name} did not finish within {now - started:.0f} s."
                raise LinkBroken("board-timeout", message, "Run the command again; if it repeats, press RESET on the board first.")
            if probes and data.endswith(PROMPT) and _OUTPUT.match(data) is None:
                raise LinkBroken("answer-lost", f"The end of an answer of the board on {self.wire.name} was lost on the way.", RETRY)
            self.wire.announce(now - word, limit)
            if now - asked > patience:
                probes += 1
                asked = now
                patience = _PROBE
                self.wire.write(b"\x01")
        self.wire.unread(bytes(data[match.end() :]))
        if probes and not self._synchronise():
            raise self._confused(bytes(data[-40:]))
        return match[1].replace(BUSY, b""), match[2]

    def _overdue(self, data: bytearray, seconds: float) -> LinkBroken:
        if _RESTARTED.search(data):
            text = f"The board on {self.wire.name} restarted while a program ran on it."
            return BoardRestarted("program-restarted", text, "What it said before is in the log.")
        return ProgramOverdue(
            "program-overdue", f"The program on the board on {self.wire.name} did not end within {seconds:.1f} s.", "Give it longer."
        )

    # -- leaving -----------------------------------------------------------------------------------------------------

    def soft_reset(self, seconds: float = 30.0) -> None:
        """Restart the interpreter and come back to the raw prompt: boot.py runs, main.py does not.

        Nothing interrupts the boot within `seconds`; a boot.py that goes on for longer is interrupted.
        Raises BoardError when the board does not come back then.
        """
        deadline = time.monotonic() + seconds
        for _ in range(3):
            self.wire.write(b"\x04")
            said = self.wire.until(b"soft reboot", 1.5)
            if said.endswith(b"soft reboot") and b"OK" in said:
                break
            # The request or the answer was lost. Or it was the friendly prompt that restarted, without the OK of the raw one, because bytes
            # that a receiver had not read were taken for control-B: main.py runs then, and no prompt comes by itself.
            self._enter(seconds, bytearray())
        asked = False
        while (left := deadline - time.monotonic()) > 0:
            if self.wire.until(PROMPT, min(_ASK_AGAIN, left)).endswith(PROMPT) and (not asked or self._synchronise()):
                return
            # Control-A waits in the ring until the boot is over, and asks for a prompt that the line swallowed.
            self.wire.write(b"\x01")
            asked = True
        self._enter(seconds, bytearray())

    def leave(self) -> None:
        """Back to the friendly prompt and restart, so that the board's own program runs again. Does not wait for it."""
        self.wire.write(b"\x02\x04")

    def _confused(self, got: bytes) -> LinkBroken:
        message = f"The board on {self.wire.name} answered the raw REPL with {got[:40]!r}."
        return LinkBroken("repl-confused", message, "Press RESET on the board and run the command again.")
