# mypy: ignore-errors
# ruff: noqa
# `machine`: resets, identity, memory, sleep, RTC, watchdog, timers; the pins and the UART are in modules beside it.
import json as _json
import _hardware
import _time
from umachine import Signal, idle, soft_reset, time_pulse_us
from _pins import ADC, PWM, Pin
from _uart import UART

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
    return _json.loads(_hardware.call(_hardware.IDENTITY, want=True))


def freq(hz=None):
    global _freq
    if hz is None:
        return _freq
    if hz not in (20000000, 40000000, 80000000, 160000000, 240000000):
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    _freq = hz


class _Memory:
    # Peripheral registers keep what is written; anywhere else there is nothing, and the CPU takes an exception.
    _bytes = {}

    def __init__(self, size):
        self._size = size

    def __getitem__(self, address):
        at = self._at(address)
        return sum(self._bytes.get(at + i, 0) << 8 * i for i in range(self._size))

    def __setitem__(self, address, value):
        at = self._at(address)
        for i in range(self._size):
            self._bytes[at + i] = value >> 8 * i & 255

    def _at(self, address):
        if not isinstance(address, int):
            raise TypeError("can't convert %s to int" % type(address).__name__)
        address &= 0xFFFFFFFF
        if address % self._size:
            raise ValueError("address %08x is not aligned to %d bytes" % (address, self._size))
        if not (0x3FF00000 <= address < 0x40000000 or 0x60000000 <= address < 0x60100000):
            _hardware.call(_hardware.RESET, 2)
        return address

    def __repr__(self):
        return "<%d-bit memory>" % (8 * self._size)


mem8, mem16, mem32 = _Memory(1), _Memory(2), _Memory(4)


def deepsleep(ms=None):
    _hardware.call(_hardware.SLEEP, 0xFFFFFFFF if ms is None else ms)


def lightsleep(ms=None):
    while ms is None:
        _time.sleep(3600)
    _time.sleep_ms(ms)


sleep = lightsleep


def disable_irq():
    return _hardware.irq(1)


def enable_irq(state):
    _hardware.irq(state)


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


class Timer:
    ONE_SHOT, PERIODIC = 0, 1

    def __init__(self, id=-1, **options):
        self._generation = self._since = 0
        if options:
            self.init(**options)

    def init(self, *, mode=1, period=-1, freq=-1, callback=None, **others):
        import _thread

        self._generation += 1
        self._since = _time.ticks_ms()
        ms = int(1000 / freq) if freq != -1 else period
        _thread.start_new_thread(self._run, (self._generation, max(1, ms), mode, callback))

    def _run(self, generation, ms, mode, callback):
        import micropython

        while True:
            _time.sleep_ms(ms)
            if generation != self._generation:
                return
            self._since = _time.ticks_ms()
            if callback:
                micropython.schedule(callback, self)
            if mode == Timer.ONE_SHOT:
                return

    def deinit(self):
        self._generation += 1

    def value(self):
        return _time.ticks_diff(_time.ticks_ms(), self._since) if self._since else 0
