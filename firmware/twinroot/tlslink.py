"""One verified TLS connection over one route. There is no way to switch verification off, and none to leave out the
server's name. Certificates are PEM in flash, for people, and DER at the moment of loading: the only form that every build accepts."""

import gc

import tls
import uhashlib
import uio
import uselect
import usocket
from micropython import const
from ubinascii import a2b_base64
from utime import ticks_add, ticks_diff, ticks_ms

import twinroot

_ETIMEDOUT = const(110)
_SHORT = const(8)  # bytes of a digest by which a root is told from the others of its route

# Route, its context, the beginning of each root's SHA-256. A context serves every connection of its route. It is kept while there is
# none, for others would take apart the 3 KB in one piece that the next one needs.
_kept = None


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
    owes = None  # (number, set.json) of a set that its handshake has not proven: the device certificate is new

    def __init__(self, sock, wire, route, root):
        self.sock = sock
        self.wire = wire
        self.route = route
        self.root = root
        self.at = ticks_ms()

    def accepted(self):
        """The server wants this device: it has answered what it answers to no stranger."""
        if self.owes:
            twinroot.proof.mark(self)

    def close(self):
        if not self.wire.dead:
            twinroot.core.proved(self)
        self.sock.close()
        self.wire.s.close()


def der(path, label=b"CERTIFICATE"):
    """DER of the first block in the file whose label ends with `label` ("CERTIFICATE", "PRIVATE KEY"). ValueError
    when there is none. Decoded line by line: the file is larger than its DER, and never in memory as a whole."""
    d = None
    with uio.open(path, "rb") as f:
        for line in f:
            if line[:2] == b"\x30\x82" and d is None:  # 0 alone may begin a line of base64
                return line + f.read()
            if line[:5] == b"-----":
                if d:
                    return d
                d = b"" if label + b"-----" in line else None
            elif d is not None:
                d += a2b_base64(line)
    raise ValueError("invalid PEM")


def open(route, info, path, ms):
    """A verified Link over `route` of the set `info`, whose files are in `path`. `ms`: for TCP, and again for the handshake.
    Raises the package's errors."""
    global _kept
    seen = []  # digest of the top certificate, the beginning of each, the leaf whole
    s = wire = link = None

    def show(crt, depth):
        # Called root first. An exception must not cross the C library.
        try:
            if not seen:
                seen.append(uhashlib.sha256(crt).digest()[:_SHORT])
            seen.append(bytes(crt[:400] if depth else crt))
        except Exception:  # no space: what is missing is missed when the failure is explained
            pass
        return 0

    try:
        if not _kept or _kept[0] is not route:
            _kept = None
            gc.collect()
            c = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
            c.verify_mode = tls.CERT_REQUIRED
            a = b""
            for n in route["roots"]:
                d = der(path + n + ".pem")
                a += uhashlib.sha256(d).digest()[:_SHORT]
                c.load_verify_locations(d)
                d = None
            if info.get("cert"):
                c.load_cert_chain(der(path + info["cert"]), der(path + info["key"], b"PRIVATE KEY"))
                if "chain" in info:
                    from . import chain

                    chain.add(c, path, info)
            _kept = route, c, a
        _, c, a = _kept
        c.verify_callback = show
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
        sock = c.wrap_socket(wire, server_hostname=host)
        wire.end = None
        i = a.find(seen[0]) if seen else _SHORT - len(a)  # of one root alone it is known
        link = Link(sock, wire, route["name"], route["roots"][i // _SHORT] if i >= 0 else None)
        c.verify_callback = None  # it would be kept, and what it has seen
        return link
    except Exception as e:
        from . import classify

        raise classify.error(e, route, seen, wire)
    finally:
        if s and not link:
            s.close()
