# mypy: ignore-errors
# ruff: noqa
# `sys` is the interpreter's own, with an ESP32's answers in it.
import sys
from _hardware import change, put


def setup(board):
    implementation = sys.implementation
    for index, value in (2, board["machine"]), (4, board["build"]), (5, "GIL"):
        change(implementation, index, value)
    change(sys, "platform", board["platform"])
    if board["version"]:
        change(sys, "version", "3.4.0; MicroPython " + board["version"])
    change(sys, "maxsize", 0x7FFFFFFF)
    for name in ("executable", "atexit", "exc_info"):
        put(sys, name)
    for stream in sys.stdout, sys.stdout.buffer:
        for name in ("fileno", "flush", "seek", "tell"):
            put(type(stream), name)
