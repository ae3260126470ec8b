# mypy: ignore-errors
# ruff: noqa
import sys as _sys


def platform():
    return "MicroPython-%d.%d.%d-xtensa-with-newlib" % _sys.implementation.version[:3]


def python_compiler():
    return "GCC"


def libc_ver():
    return ("newlib", "")
