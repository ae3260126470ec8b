"""Set the clock from the network. NTP is not authenticated: an answer before the set's floor, or beyond its ceiling, is not believed,
and no answer does more than set the clock."""

import uos
import usocket
import utime
from micropython import const
from utime import ticks_add, ticks_diff, ticks_ms

from . import clock

_NTP = 2208988800  # unix epoch, in seconds since 1900
_REST_MS = const(3600000)  # how long a server is left alone that has sent a kiss of death (RFC 4330, 8)

moved = False  # the clock was set: what it said before does not count against hours
_kissed = {}  # server -> ticks until which it is not asked


def put(unix):
    """Set the clock. False when this build cannot."""
    try:
        from umachine import RTC
    except ImportError:
        return False
    t = utime.gmtime(unix - clock.EPOCH)
    RTC().datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))
    return True


def ask(server, ms, info):
    """Unix seconds from one server (RFC 4330, 48 bytes each way); OSError when it does not answer sensibly. `info`: the set."""
    s = usocket.socket(usocket.AF_INET, usocket.SOCK_DGRAM)
    try:
        s.settimeout(ms / 1000)
        a = server, 123
        if "lab" in info:
            from . import lab

            a = lab.at(server, 123, info)
        b = bytearray(48)
        b[0] = 0x23  # version 4, client
        b[40:48] = mark = uos.urandom(8)  # comes back as originate timestamp: an answer to somebody else is not ours
        s.connect(usocket.getaddrinfo(a[0], a[1])[0][-1])
        s.send(b)
        r = s.recv(48)
    finally:
        s.close()
    if len(r) < 48 or r[0] & 7 != 4 or r[24:32] != mark:
        raise OSError(22, "NTP")
    if r[1] == 0:
        _kissed[server] = ticks_add(ticks_ms(), _REST_MS)
    if not 0 < r[1] < 16 or r[0] >> 6 == 3:
        raise OSError(22, "NTP")
    t = int.from_bytes(r[40:44], "big")
    return t + (0 if t >> 31 else 1 << 32) - _NTP  # era 1 begins in 2036


WAIT_MS = 3000  # for each server


def sync(servers, floor, ceiling, info):
    """Set the clock from the first server that answers with a time from the floor to the ceiling. True when the clock was wrong by
    two seconds or more and is right now, False when it was right, None when no server helped."""
    global moved
    for server in servers:
        try:
            if 0 < ticks_diff(_kissed.get(server, ticks_ms()), ticks_ms()) <= _REST_MS:
                continue
            t = ask(server, WAIT_MS, info)
            if floor <= t < ceiling:
                if abs(t - clock.now()) < 2:
                    return False
                if put(t):
                    moved = True
                    return True
        except MemoryError:
            raise
        except Exception:  # whatever it answered, or the look-up did: the next server
            pass
    return None
