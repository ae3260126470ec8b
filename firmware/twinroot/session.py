"""The MQTT client: umqtt.simple's (or umqtt.robust's) where the firmware has it, else mini.py; only its connect() is replaced, so
reconnecting goes through the route policy too."""

from utime import ticks_diff, ticks_ms

import twinroot  # core and stats are looked up there: after a rollback, or an update, they are those of another package


def _refused(what, route):
    from . import errors

    return errors.make("refused", what, route)


def _core(name, *a):
    """What the core in use answers to a call; None from an older one, which stands in and does not have it."""
    f = getattr(twinroot.core, name, None)
    return f and f(*a)


def _gone(*_):
    raise OSError(107, "not connected")


class _Whole:
    """The stream for umqtt, which takes what read() answers for whole: an end in the middle of a packet would be its IndexError, and
    the end of a loop that survives OSError."""

    pong = False  # the broker has answered a ping

    def __init__(self, s):
        self.s = s
        self.write = s.write
        self.readinto = s.readinto
        self.setblocking = s.setblocking
        self.close = s.close

    def read(self, n):
        if n < 0:
            raise OSError(22, "no MQTT")
        d = self.s.read(n)
        if d is not None and len(d) < n:
            raise OSError(104, "closed by the broker")
        if d == b"\xd0":
            self.pong = True
        return d


def _kind(base):
    class Client(base):
        link = None
        timeout = 20
        own = False  # the client id is the set's
        subs = ()
        asked = 0  # ticks at which ping() looked at the clock
        f = None  # the application's callback
        inside = False  # it is running, or has raised

        def connect(self, clean_session=True, timeout=None, link=None):
            """Connect over the best route, or over the Link in the list `link`; RefusedError when the broker does not want this device."""
            self.inside = False
            # Nothing of the session before, 5 KB with what the TLS library has of it, is held while the next one is opened.
            w = self.sock
            if w:
                w.s = None
                w.read = w.write = w.readinto = w.setblocking = w.close = _gone
            self.link = None
            timeout = timeout or self.timeout
            k = link.pop() if link else twinroot.core.connect(timeout)
            first = t = None
            while True:
                if self.own:
                    self.client_id = twinroot.core.state()[0]["client_id"]
                try:
                    # The handshake's limit still holds: a silent broker is not waited for.
                    self.sock = _Whole(k.sock)
                    r = self._hello(k, clean_session)
                    if t:
                        t.lost()
                    return r
                except Exception as e:
                    e = self._end(e, False, k)
                    if t:  # the set before is not wanted either
                        t.back()
                        raise first
                    if getattr(e, "route", None):
                        twinroot.stats.bad(e.route, e.kind, None)
                    f = _core("_failing")
                    if f:
                        f.refused()
                    # With a certificate that no server has accepted yet, the set before is asked as well.
                    t = getattr(k, "owes", None) and getattr(e, "kind", "") in ("refused", "network") and twinroot.trial
                    k = self.sock = None
                    k = t and t.instead(e, timeout)
                    if not k:
                        raise e
                    first = e

        def _hello(self, k, clean):
            k.sock.write(twinroot.client.packet(self, clean))
            r = k.sock.read(4)
            if not r or len(r) < 4 or r[0] != 0x20:
                raise _refused("closed after CONNECT", k.route)
            if r[3]:
                raise _refused("CONNACK %d" % r[3], k.route)
            # From now on silence of one and a half keep-alives is a dead connection.
            k.wire.limit = self.keepalive * 1500
            self.link = k
            if getattr(k, "owes", None):
                k.accepted()
            for t in self.subs:
                base.subscribe(self, t[0], t[1])
            return r[2] & 1

        def reconnect(self):
            """For umqtt.robust, whose own would go around the routes."""
            while True:
                try:
                    return self.connect(False)
                except OSError as e:
                    self.log(True, e)

        def _end(self, e, was, k=None):
            """What to raise for `e`, which a call has met. The application's own exceptions pass; whatever else it is, the session is
            over: where the next packet begins is not known any more."""
            own = self.inside
            self.inside = was
            if not own:
                try:
                    from . import classify

                    e = classify.ended(e, k or self.link)
                except Exception:  # not even what would explain it fits, or an older package stands in
                    e = OSError(12)
            return e

        def set_callback(self, f):
            self.f = f
            self.cb = self._deliver

        def _deliver(self, topic, msg):
            if self.f:
                self.inside = True
                self.f(topic, msg)
                self.inside = False

        def _proven(self):
            if not self.link.ok:
                _core("proved", self.link)

        def subscribe(self, topic, qos=0):
            was = self.inside
            self.inside = False
            try:
                base.subscribe(self, topic, qos)
            except Exception as e:
                raise self._end(e, was)
            self.inside = was
            self.subs = [t for t in self.subs if t[0] != topic] + [(topic, qos)]

        def publish(self, topic, msg, retain=False, qos=0):
            was = self.inside
            self.inside = False
            try:
                base.publish(self, topic, msg, retain, qos)
            except Exception as e:
                raise self._end(e, was)
            self.inside = was
            if qos:
                self._proven()

        def wait_msg(self, block=True):
            was = self.inside
            self.inside = False
            try:
                if not block:
                    self.sock.setblocking(False)
                r = base.wait_msg(self)
            except Exception as e:
                raise self._end(e, was)
            self.inside = was
            if self.sock.pong:
                self._proven()
            return r

        def check_msg(self):
            return self.wait_msg(False)

        def ping(self):
            """Keep alive; on another than the preferred route, go home when the time has come."""
            t = ticks_ms()
            # The time of day is an object: none is made for each ping, but four in the time after which we go home, or one in 10 s.
            if not 0 <= ticks_diff(t, self.asked) < min(10000, 250 * twinroot.core._pol.ret):
                self.asked = t
                if twinroot.core.due():
                    self.connect(False)
            try:
                base.ping(self)
            except Exception as e:
                raise self._end(e, self.inside)

        def disconnect(self):
            try:
                base.disconnect(self)
            except Exception as e:
                raise self._end(e, self.inside)
            if self.link:
                self.link.close()

    return Client
