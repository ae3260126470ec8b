"""What the interpreter asks of the hardware: one SEQPACKET message head, sometimes one of data. Mirror of shims/_hardware.py."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

HEAD = struct.Struct("<BBHII")
ANSWER = struct.Struct("<ii")


class Op(IntEnum):
    PROGRAM = 1  # a: address, b: length, data
    ERASE = 2  # a: address, b: length
    RESET = 3  # a: 0 = restart, 1 = into the ROM loader, 2 = CPU exception; never answered
    BAUD = 4  # a: rate, 0 = only wait until everything is sent
    RTC = 5  # a, b: low and high word of the seconds since 1970
    WATCHDOG = 6  # a: milliseconds until the reset unless asked again
    SLEEP = 7  # a: milliseconds, 0xffffffff = for ever; never answered
    RESOLVE = 8  # data: host name; answers with an address
    WIFI = 9  # a: what, b: value, data: "ssid\0key"
    IDENTITY = 10  # answers with JSON
    NVS_GET = 11  # data: key
    NVS_SET = 12  # a: length of the key, b: 1 = set, 0 = erase; data: key and value
    MEMORY = 13  # a: 1 = write data, 0 = read: the RTC's memory
    SLOTS = 14  # a: a word of Slots, b: address of a partition; answers with an address, or an error of ESP-IDF


class Slots(IntEnum):
    """What the firmware asks about the slots that it may lie in."""

    RUNNING = 0
    BOOT = 1
    NEXT = 2  # behind the one at b
    SET_BOOT = 3  # the one at b
    MARK_VALID = 4


@dataclass(frozen=True)
class Request:
    op: Op
    a: int
    b: int
    data: bytes
