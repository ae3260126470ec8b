"""One verified TLS connection over one route. There is no way to switch verification off, and none to leave out the
server's name."""

import gc
import hashlib
import io
import select
import socket
from time import ticks_add, ticks_diff, ticks_ms

import tls

from . import der

_ETIMEDOUT = 110


class Wire(io.IOBase):
    """The TCP socket as the TLS library sees it. A socket's own timeout bounds one read, so a server that sends a byte
    now and then could hold a handshake for ever: here the whole handshake has one deadline. Afterwards `limit` (ms, 0:
    none) bounds each wait."""

    def __init__(self, sock, ms):
        self.s = sock
        self.p = select.poll()
        self.p.register(sock, select.POLLIN)
        self.end = ticks_add(ticks_ms(), ms)  # deadline of the handshake, None afterwards
        self.limit = ms
        self.block = True
        self.head = None  # first bytes that the server sent: "HTTP" unmasks a portal

    def _ready(self, what):
        """True when the socket is ready, False to come again, None when time is up."""
        ms = 0
        if self.block:
            ms = self.limit or -1
            if self.end is not None:
                ms = ticks_diff(self.end, ticks_ms())
                if ms <= 0:
                    return None
        self.p.modify(self.s, what)
        for _ in self.p.ipoll(ms):
            return True
        return None if self.block else False

    def readinto(self, b):
        r = self._ready(select.POLLIN)
        if r:
            n = self.s.readinto(b)
            if n and not self.head:
                self.head = bytes(b[:4])
            return n
        return -_ETIMEDOUT if r is None else None

    def write(self, b):
        r = self._ready(select.POLLOUT)
        if r:
            return self.s.write(b)
        return -_ETIMEDOUT if r is None else None

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

    def settimeout(self, t):
        self.block = t != 0
        self.limit = int(t * 1000) if t else 0


class Link:
    """A verified connection: `sock` the stream, `route` and `root` names."""

    def __init__(self, sock, wire, route, root):
        self.sock = sock
        self.wire = wire
        self.route = route
        self.root = root

    def close(self):
        self.sock.close()
        self.wire.s.close()


def resolve(host, port, table):
    """Where the TCP connection goes. The table of a bench changes this, and never the name that is verified."""
    if table:
        at = table.get("%s:%d" % (host, port)) or table.get("*.%s:%d" % (host[host.find(".") + 1 :], port))
        if at:
            host, port = at.rsplit(":", 1)
    return host, int(port)


def dial(route, table, ms):
    """A TCP connection to where the route leads."""
    s = None
    try:
        a = resolve(route["host"], route["port"], table)
        s = socket.socket()
        s.settimeout(ms / 1000)
        s.connect(socket.getaddrinfo(a[0], a[1])[0][-1])
        return s
    except (OSError, MemoryError) as e:
        if s:
            s.close()
        from . import classify

        raise classify.error(e, route, (), True)


def handshake(s, route, folder, cert, key, ms):
    """TLS over the connected socket `s`; it is closed when that fails. Raises the package's errors."""
    anchors = {}
    seen = []  # digest of the top certificate, name of who signed it, validity of each certificate, the leaf
    wire = done = None

    def show(crt, depth):
        # Called root first. An exception must not cross the C library.
        try:
            i, v = der.fields(crt)
            if not seen:
                seen.append(hashlib.sha256(crt).digest())
                seen.append(der.name(crt, i[0], i[1]))
            seen.append(bytes(crt[v[0] : v[1]]))
            if not depth:
                seen.append(bytes(crt))
        except Exception:
            pass
        return 0

    try:
        gc.collect()
        ctx = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        ctx.verify_mode = tls.CERT_REQUIRED
        for n in route["roots"]:
            d = der.load(folder + n + ".pem", b"CERTIFICATE")
            anchors[hashlib.sha256(d).digest()] = n
            ctx.load_verify_locations(d)
            d = None
            gc.collect()
        if cert:
            ctx.load_cert_chain(der.load(folder + cert, b"CERTIFICATE"), der.load(folder + key, b"PRIVATE KEY"))
        try:
            ctx.verify_callback = show
        except AttributeError:  # before MicroPython 1.23
            pass
        gc.collect()
        s.setblocking(False)
        wire = Wire(s, ms)
        sock = ctx.wrap_socket(wire, server_hostname=route["host"])
        wire.end = None
        done = Link(sock, wire, route["name"], anchors.get(seen[0]) if seen else None)
        if not seen and len(anchors) == 1:
            done.root = route["roots"][0]
        return done
    except (OSError, ValueError, MemoryError) as e:
        from . import classify

        raise classify.error(e, route, seen, wire)
    finally:
        if not done:
            s.close()
