# mypy: ignore-errors
# ruff: noqa
# `micropython` as on an ESP32. The buffer for exceptions where no memory can be had is there from the start, of 256 bytes.
import micropython
from _hardware import change, put


def alloc_emergency_exception_buf(size):
    pass


def setup():
    for name in ("mem_current", "mem_peak", "mem_total"):
        put(micropython, name)
    change(micropython, "alloc_emergency_exception_buf", alloc_emergency_exception_buf)
