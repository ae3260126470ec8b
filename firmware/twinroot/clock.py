"""Time before trust. The clock of a board starts in 2000; a handshake with it would call every certificate not yet
valid. The floor is a time that has certainly passed (it comes with the set and only rises with it)."""

import time

_EPOCH = 946684800 if time.gmtime(0)[0] == 2000 else 0  # unix seconds of this build's second 0
_NTP = 2208988800  # unix epoch, in seconds since 1900


def now():
    """Unix seconds."""
    return int(time.time()) + _EPOCH


def within(v):
    """True when now lies within the contents `v` of a certificate's Validity (X.509 UTCTime or GeneralizedTime)."""
    t = time.gmtime()
    t = "%04d%02d%02d%02d%02d%02d" % t[:6]
    i = 0
    ends = []
    while i < len(v):
        s = str(v[i + 2 : i + 2 + v[i + 1]], "ascii")
        ends.append(s if v[i] == 0x18 else ("20" if s < "5" else "19") + s)
        i += 2 + v[i + 1]
    return ends[0] <= t <= ends[1]


def put(unix):
    """Set the clock. False when this build cannot."""
    try:
        from machine import RTC

        t = time.gmtime(unix - _EPOCH)
        RTC().datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))
        return True
    except (ImportError, AttributeError):
        return False


def ask(server, ms, table=None):
    """Unix seconds from one NTP server (RFC 4330, 48 bytes each way); OSError when it does not answer sensibly."""
    import os
    import socket

    from .tlslink import resolve

    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.settimeout(ms / 1000)
        a = resolve(server, 123, table)
        b = bytearray(48)
        b[0] = 0x23  # version 4, client
        b[40:48] = mark = os.urandom(8)  # comes back as originate timestamp: an answer to somebody else is not ours
        s.connect(socket.getaddrinfo(a[0], a[1])[0][-1])
        s.send(b)
        r = s.recv(48)
    finally:
        s.close()
    if len(r) < 48 or r[0] & 7 != 4 or not 0 < r[1] < 16 or r[0] >> 6 == 3 or r[24:32] != mark:
        raise OSError(22, "NTP")
    t = int.from_bytes(r[40:44], "big")
    return t + (0 if t >> 31 else 1 << 32) - _NTP  # era 1 begins in 2036


def sync(servers, floor, table=None, ms=3000):
    """Set the clock from the first server that answers with a time above the floor. Seconds that it was wrong by, None
    when no server helped."""
    for server in servers:
        try:
            t = ask(server, ms, table)
            d = t - now()
            if t >= floor and (abs(d) < 2 or put(t)):
                return d
        except OSError:  # the next server
            pass
    return None
