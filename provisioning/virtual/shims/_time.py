# mypy: ignore-errors
# ruff: noqa
# `time` with the epoch of an ESP32: seconds since 2000-01-01, from the board's own RTC.
from utime import gmtime as _gmtime, time as _now, time_ns as _now_ns
from utime import sleep, sleep_ms, sleep_us, ticks_add, ticks_cpu, ticks_diff, ticks_ms, ticks_us

_EPOCH = 946684800  # 2000-01-01 in seconds since 1970


def time():
    return int(_now()) - _EPOCH


def time_ns():
    return _now_ns() - _EPOCH * 1000000000


def gmtime(secs=None):
    return _gmtime((time() if secs is None else int(secs)) + _EPOCH)[:8]


localtime = gmtime


def mktime(t):
    year, month, day, hour, minute, second = (int(t[i]) for i in range(6))
    year += (month - 1) // 12
    month = (month - 1) % 12 + 1
    # days from civil, with March as the first month of a year
    y = year - (month <= 2)
    era = y // 400
    yoe = y - era * 400
    doy = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    days = era * 146097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 730425
    return ((days * 24 + hour) * 60 + minute) * 60 + second
