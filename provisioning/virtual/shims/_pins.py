# mypy: ignore-errors
# ruff: noqa
# machine.Pin, ADC and PWM: no wires, they remember what they were told.
from umachine import PinBase


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


class ADC:
    WIDTH_12BIT = 12
    ATTN_0DB, ATTN_2_5DB, ATTN_6DB, ATTN_11DB = range(4)

    def __init__(self, pin, *, atten=0):
        self._pin = pin

    def init(self, *, atten=0):
        pass

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
    def __init__(self, pin, **options):
        self._pin, self._freq, self._duty = pin, 5000, 0
        self.init(**options)

    def init(self, *, freq=None, duty=None, duty_u16=None, duty_ns=None, invert=None):
        if freq is not None:
            self.freq(freq)
        for value, setting in (duty, self.duty), (duty_u16, self.duty_u16), (duty_ns, self.duty_ns):
            if value is not None:
                setting(value)

    def freq(self, value=None):
        if value is None:
            return self._freq
        if not 1 <= value <= 40000000:
            raise ValueError("frequency must be from 1Hz to 40MHz")
        self._freq = value

    def _set(self, value, most):
        if not 0 <= value <= most:
            raise ValueError("duty should be 0-%d" % most)
        self._duty = value * 65535 // most

    def duty_u16(self, value=None):
        if value is None:
            return self._duty
        self._set(value, 65535)

    def duty(self, value=None):
        if value is None:
            return (self._duty * 1023 + 32767) // 65535
        self._set(value, 1023)

    def duty_ns(self, value=None):
        if value is None:
            return (self._duty * 1000000000 // self._freq + 32767) // 65535
        self._set(value, 1000000000 // self._freq)

    def deinit(self):
        pass
