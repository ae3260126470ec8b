# mypy: ignore-errors
# ruff: noqa
# `machine`: resets, identity, the UART that carries the REPL, RTC, watchdog, sleep, pins that remember their level.
import json
import struct
import _hardware
import _time
from machine import PinBase, Signal, idle, soft_reset, time_pulse_us

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
EXT0_WAKE, EXT1_WAKE, TIMER_WAKE, TOUCHPAD_WAKE, ULP_WAKE = 2, 3, 4, 5, 6
PIN_WAKE = EXT0_WAKE
SLEEP, DEEPSLEEP = 2, 4
_freq = 160000000


def reset():
    _hardware.call(_hardware.RESET)


def bootloader(timeout=0):
    _hardware.call(_hardware.RESET, 1)


def unique_id():
    return bytes(int(part, 16) for part in _identity()["mac"].split(":"))


def reset_cause():
    return _identity()["reset_cause"]


def wake_reason():
    return TIMER_WAKE if reset_cause() == DEEPSLEEP_RESET else 0


def _identity():
    return json.loads(_hardware.call(_hardware.IDENTITY, want=True))


def freq(hz=None):
    global _freq
    if hz is None:
        return _freq
    if hz not in (20000000, 40000000, 80000000, 160000000, 240000000):
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    _freq = hz


class _Memory:
    # Peripheral registers keep what is written; anywhere else there is nothing, and the CPU takes an exception.
    _words = {}

    def __getitem__(self, address):
        self._check(address)
        return self._words.get(address, 0)

    def __setitem__(self, address, value):
        self._check(address)
        self._words[address] = value

    def _check(self, address):
        if not (0x3FF00000 <= address < 0x40000000 or 0x60000000 <= address < 0x60100000):
            _hardware.call(_hardware.RESET, 2)


mem8 = mem16 = mem32 = _Memory()


def deepsleep(ms=None):
    _hardware.call(_hardware.SLEEP, 0xFFFFFFFF if ms is None else ms)


def lightsleep(ms=None):
    while ms is None:
        _time.sleep(3600)
    _time.sleep_ms(ms)


sleep = lightsleep


def disable_irq():
    return 0


def enable_irq(state):
    pass


class UART:
    INV_RX, INV_TX, INV_RTS, INV_CTS, RTS, CTS = 4, 32, 64, 8, 1, 2
    IRQ_RXIDLE, IRQ_BREAK, IRQ_RX = 4096, 128, 1

    def __init__(self, id, *args, **kwargs):
        if id not in (0, 1, 2):
            raise ValueError("UART(%d) does not exist" % id)
        self._id = id
        self._baud = 115200
        self.init(*args, **kwargs)

    def init(self, baudrate=None, bits=None, parity=None, stop=None, **others):
        if baudrate is not None:
            self._baud = baudrate
            if self._id == 0:
                _hardware.call(_hardware.BAUD, baudrate)

    def deinit(self):
        pass

    def any(self):
        if self._id:
            return 0
        import select, sys

        poll = select.poll()
        poll.register(sys.stdin, 1)
        return 1 if poll.poll(0) else 0

    def read(self, n=None):
        import sys

        got = b""
        while self._id == 0 and (n is None or len(got) < n) and self.any():
            got += sys.stdin.buffer.read(1)
        return got or None

    def readinto(self, buf, n=None):
        got = self.read(len(buf) if n is None else n)
        if got:
            buf[: len(got)] = got
            return len(got)

    def readline(self):
        import sys

        got = b""
        while self._id == 0 and not got.endswith(b"\n") and self.any():
            got += sys.stdin.buffer.read(1)
        return got or None

    def write(self, buf):
        import sys

        if self._id == 0:
            sys.stdout.buffer.write(buf)
        return len(buf)

    def flush(self):
        if self._id == 0:
            _hardware.call(_hardware.BAUD, 0)

    def txdone(self):
        return True

    def sendbreak(self):
        pass

    def __repr__(self):
        return (
            "UART(%d, baudrate=%d, bits=8, parity=None, stop=1, tx=1, rx=3, rts=-1, cts=-1, txbuf=256, rxbuf=256, timeout=0, timeout_char=0)"
            % (self._id, self._baud)
        )


class RTC:
    ALARM0 = 0

    def __init__(self, id=0):
        pass

    def datetime(self, value=None):
        if value is None:
            ns = _time.time_ns()
            y, mo, d, h, mi, s, wd, yd = _time.gmtime(ns // 1000000000)
            return (y, mo, d, wd, h, mi, s, ns // 1000 % 1000000)
        y, mo, d, wd, h, mi, s = value[:7]
        _set_clock(_time.mktime((y, mo, d, h, mi, s, 0, 0)))

    def init(self, value):
        y, mo, d = value[:3]
        rest = tuple(value[3:]) + (0, 0, 0, 0)
        _set_clock(_time.mktime((y, mo, d, rest[0], rest[1], rest[2], 0, 0)))

    def memory(self, data=None):
        if data is None:
            return _hardware.call(_hardware.MEMORY, 0, want=True)
        data = bytes(data)
        if len(data) > 2048:
            raise ValueError("buffer too long")
        _hardware.call(_hardware.MEMORY, 1, 0, data)


def _set_clock(seconds):
    seconds += 946684800
    _hardware.call(_hardware.RTC, seconds & 0xFFFFFFFF, seconds >> 32)


class WDT:
    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        self._timeout = timeout
        self.feed()

    def feed(self):
        _hardware.call(_hardware.WATCHDOG, self._timeout)


class Pin(PinBase):
    IN, OUT, OPEN_DRAIN, PULL_UP, PULL_DOWN = 1, 3, 7, 2, 1
    IRQ_RISING, IRQ_FALLING, WAKE_LOW, WAKE_HIGH = 1, 2, 4, 5
    DRIVE_0, DRIVE_1, DRIVE_2, DRIVE_3 = range(4)
    _levels = {}

    def __init__(self, id, mode=None, pull=None, value=None, drive=None, hold=None):
        if not isinstance(id, int) or not 0 <= id < 49:
            raise ValueError("invalid pin")
        self._id = id
        self.init(mode, pull, value)

    def init(self, mode=None, pull=None, value=None, drive=None, hold=None):
        self._mode = mode
        if pull == Pin.PULL_UP and value is None:
            Pin._levels.setdefault(self._id, 1)
        if value is not None:
            self.value(value)

    def value(self, level=None):
        if level is None:
            return Pin._levels.get(self._id, 0)
        Pin._levels[self._id] = 1 if level else 0

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(not self.value())

    def irq(self, handler=None, trigger=3, wake=None):
        pass

    def __repr__(self):
        return "Pin(%d)" % self._id


class Timer:
    ONE_SHOT, PERIODIC = 0, 1

    def __init__(self, id=-1, **options):
        self._generation = 0
        if options:
            self.init(**options)

    def init(self, *, mode=1, period=-1, freq=-1, callback=None, **others):
        import _thread

        self._generation += 1
        ms = int(1000 / freq) if freq != -1 else period
        _thread.start_new_thread(self._run, (self._generation, max(1, ms), mode, callback))

    def _run(self, generation, ms, mode, callback):
        import micropython

        while True:
            _time.sleep_ms(ms)
            if generation != self._generation:
                return
            if callback:
                micropython.schedule(callback, self)
            if mode == Timer.ONE_SHOT:
                return

    def deinit(self):
        self._generation += 1


class ADC:
    ATTN_0DB, ATTN_2_5DB, ATTN_6DB, ATTN_11DB = range(4)

    def __init__(self, pin, *, atten=0):
        self._pin = pin

    def read(self):
        return 0

    def read_u16(self):
        return 0

    def read_uv(self):
        return 0

    def atten(self, value=None):
        pass

    def width(self, bits=None):
        pass


class PWM:
    def __init__(self, pin, freq=5000, duty_u16=0, **others):
        self._freq, self._duty = freq, duty_u16

    def freq(self, value=None):
        if value is None:
            return self._freq
        self._freq = value

    def duty_u16(self, value=None):
        if value is None:
            return self._duty
        self._duty = value

    def duty(self, value=None):
        if value is None:
            return self._duty >> 6
        self._duty = value << 6

    def deinit(self):
        pass


__name__ = "machine"
