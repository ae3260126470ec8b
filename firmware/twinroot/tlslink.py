"""One verified TLS connection over one route. There is no way to switch verification off, and none to leave out the
server's name."""

import gc

import tls
import uhashlib
import uio
import uselect
import usocket
from micropython import const
from utime import ticks_add, ticks_diff, ticks_ms

import twinroot

from . import der

_ETIMEDOUT = const(110)


class Wire(uio.IOBase):
    """The TCP socket as the TLS library sees it. A socket's own timeout bounds one read, so a server that sends a byte
    now and then could hold a handshake for ever: here the whole handshake has one deadline. Afterwards `limit` (ms, 0:
    none) bounds each wait. Nothing is raised through the C library: errors are negative numbers."""

    def __init__(self, sock, ms):
        self.s = sock
        self.rd = sock.readinto
        self.wr = sock.write
        self.p = uselect.poll()
        self.p.register(sock, uselect.POLLIN)
        self.end = ticks_add(ticks_ms(), ms)  # deadline of the handshake, None afterwards
        self.limit = ms
        self.block = True
        self.head = 0  # first byte that the server sent: a portal does not speak TLS
        self.dead = False  # the other side, or silence, has ended it

    def _io(self, what, f, b):
        ms = 0
        if self.block:
            ms = self.limit or -1
            if self.end is not None:
                ms = max(0, ticks_diff(self.end, ticks_ms()))
        n = -_ETIMEDOUT if self.block else None
        try:
            self.p.modify(self.s, what)
            for _ in self.p.ipoll(ms):
                n = f(b)
                break
        except OSError as e:
            n = -e.args[0]
        if n is not None and n <= 0:
            self.dead = True
        return n

    def readinto(self, b):
        n = self._io(uselect.POLLIN, self.rd, b)
        if n and not self.head:
            self.head = b[0]
        return n

    def write(self, b):
        n = self._io(uselect.POLLOUT, self.wr, b)
        # A server that refuses our certificate closes while we still write. Why, is what it sent before: go on to read.
        return len(b) if self.end is not None and n is not None and n < 0 else n

    def ioctl(self, op, arg):
        if op == 3:  # MP_STREAM_POLL
            self.p.modify(self.s, arg)
            for t in self.p.ipoll(0):
                return t[1]
            return 0
        if op == 4:  # MP_STREAM_CLOSE
            self.s.close()
            return 0
        return -22

    def setblocking(self, flag):
        self.block = flag


class Link:
    """A verified connection: `sock` the stream, `route` and `root` names."""

    ok = False  # it has proven itself

    def __init__(self, sock, wire, route, root):
        self.sock = sock
        self.wire = wire
        self.route = route
        self.root = root
        self.at = ticks_ms()

    def close(self):
        if not self.wire.dead:
            twinroot.core.proved(self)
        self.sock.close()
        self.wire.s.close()


def open(route, info, path, ms):
    """A verified Link over `route` of the set `info`, whose files are in `path`. `ms`: for TCP, and again for the handshake.
    Raises the package's errors."""
    anchors = {}
    seen = []  # digest of the top certificate, the beginning of each, the leaf whole
    s = wire = link = None

    def show(crt, depth):
        # Called root first. An exception must not cross the C library.
        try:
            if not seen:
                seen.append(uhashlib.sha256(crt).digest())
            seen.append(bytes(crt[:400] if depth else crt))
        except Exception:  # no room: what is missing is missed when the failure is explained
            pass
        return 0

    try:
        ctx = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        ctx.verify_mode = tls.CERT_REQUIRED
        for n in route["roots"]:
            d = der.load(path + n + ".pem", b"CERTIFICATE")
            anchors[uhashlib.sha256(d).digest()] = n
            ctx.load_verify_locations(d)
            d = None
            gc.collect()
        if info.get("cert"):
            ctx.load_cert_chain(der.load(path + info["cert"], b"CERTIFICATE"), der.load(path + info["key"], b"PRIVATE KEY"))
            if "chain" in info:
                from . import chain

                chain.add(ctx, path, info)
        ctx.verify_callback = show
        gc.collect()
        wire = True  # from here on it is not about our files
        at = host, port = route["host"], route["port"]
        if "lab" in info:
            from . import lab

            at = lab.at(host, port, info)
        s = usocket.socket()
        s.settimeout(ms / 1000)
        s.connect(usocket.getaddrinfo(*at)[0][-1])
        s.setblocking(False)
        wire = Wire(s, ms)
        sock = ctx.wrap_socket(wire, server_hostname=host)
        wire.end = None
        root = anchors.get(seen[0]) if seen else route["roots"][0] if len(anchors) == 1 else None
        link = Link(sock, wire, route["name"], root)
        # The TLS library keeps the callback, and with it these, for as long as the connection.
        seen.clear()
        anchors.clear()
        return link
    except Exception as e:
        from . import classify

        raise classify.error(e, route, seen, wire)
    finally:
        if s and not link:
            s.close()
