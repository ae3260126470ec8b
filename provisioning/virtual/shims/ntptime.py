# mypy: ignore-errors
# ruff: noqa
# `ntptime`: asks a time server over UDP and sets the board's clock. `host` may be "name" or "name:port".
import socket
import struct

host = "pool.ntp.org"
timeout = 1
_NTP_TO_2000 = 3155673600  # 1900 to 2000 in seconds


def time():
    name, _, port = host.partition(":")
    query = bytearray(48)
    query[0] = 0x1B  # version 3, client
    address = socket.getaddrinfo(name, int(port or 123), 0, socket.SOCK_DGRAM)[0][-1]
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.settimeout(timeout)
        s.sendto(query, address)
        answer = s.recv(48)
    finally:
        s.close()
    if len(answer) < 48:
        raise OSError(71)
    seconds = struct.unpack("!I", answer[40:44])[0]
    if seconds < _NTP_TO_2000:
        seconds += 0x100000000  # era 1, from 2036
    return seconds - _NTP_TO_2000


def settime():
    from machine import RTC
    import time as _time

    t = _time.gmtime(time())
    RTC().datetime((t[0], t[1], t[2], t[6] + 1, t[3], t[4], t[5], 0))
