"""mqtt(): a connected MQTT client over the best route. The client is umqtt.simple's (or umqtt.robust's) where the
firmware has it, else mini.py; only its connect() is replaced, so reconnecting goes through the route policy too."""

import ustruct
from utime import ticks_diff, ticks_ms

import twinroot  # core and stats are looked up there: after a rollback, or an update, they are those of another package


def _base(robust):
    try:
        if robust:
            from umqtt.robust import MQTTClient
        else:
            from umqtt.simple import MQTTClient
    except ImportError:
        from . import mini

        return mini.MQTTClient
    return MQTTClient


def packet(c, clean):
    """The CONNECT packet (MQTT 3.1.1, 3.1) of the client `c`, whose fields are those of umqtt.simple."""
    flags = clean << 1
    body = b""
    for s in (c.client_id, c.lw_topic, c.lw_msg if c.lw_topic else None, c.user, c.pswd if c.user else None):
        if s is not None and (s or s is c.client_id):
            s = s.encode() if isinstance(s, str) else s
            body += ustruct.pack("!H", len(s)) + s
    if c.lw_topic:
        flags |= 4 | c.lw_qos << 3 | c.lw_retain << 5
    if c.user:
        flags |= 0xC0
    n = 10 + len(body)
    size = bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7))
    return b"\x10" + size + b"\0\4MQTT\4" + ustruct.pack("!BH", flags, c.keepalive) + body


def _refused(what, route):
    from . import errors

    return errors.make("refused", what, route)


def _back_off(e):
    """A refusal after a handshake that was good slows the attempts down, and changes no route."""
    f = twinroot.stats.data().get("fails")
    twinroot.stats.bad(e.route, e.kind, None)
    twinroot.core.state()[1].fails = f[1] + 1 if f else 1
    twinroot.core.failed(e, True)


class _Whole:
    """The stream for umqtt, which takes what read() answers for whole: an end in the middle of a packet would be its IndexError, and
    the end of a loop that survives OSError."""

    def __init__(self, s):
        self.s = s
        self.write = s.write
        self.readinto = s.readinto
        self.setblocking = s.setblocking
        self.close = s.close

    def read(self, n):
        d = self.s.read(n)
        if d is not None and len(d) < n:
            raise OSError(104, "closed by the broker")
        return d


def _kind(base):
    class Client(base):
        link = None
        timeout = 20
        own = False  # the client id is the set's
        subs = ()
        asked = 0  # ticks at which ping() looked at the clock

        def connect(self, clean_session=True, timeout=None):
            """Connect over the best route; RefusedError when the broker does not want this device."""
            k = twinroot.core.connect(timeout or self.timeout)
            if self.own:
                self.client_id = twinroot.core.state()[0]["client_id"]
            try:
                # The handshake's limit still holds: a silent broker is not waited for.
                self.sock = _Whole(k.sock)
                present = self._hello(k, clean_session)
            except (OSError, ValueError, MemoryError) as e:
                from . import classify, errors

                if not isinstance(e, errors.TwinrootError):
                    e = errors.make(classify.kind(e, True), e, k.route)
                _back_off(e)
                raise e
            finally:
                if self.link is not k:
                    k.close()
            if twinroot.core.well(True):
                twinroot.stats.save(True)
            return present

        def _hello(self, k, clean):
            k.sock.write(packet(self, clean))
            r = k.sock.read(4)
            if not r or len(r) < 4 or r[0] != 0x20:
                raise _refused("closed after CONNECT", k.route)
            if r[3]:
                raise _refused("CONNACK %d" % r[3], k.route)
            # From now on silence of one and a half keep-alives is a dead connection.
            k.wire.limit = self.keepalive * 1500
            for t in self.subs:
                base.subscribe(self, t[0], t[1])
            self.link = k
            return r[2] & 1

        def subscribe(self, topic, qos=0):
            base.subscribe(self, topic, qos)
            self.subs = [t for t in self.subs if t[0] != topic] + [(topic, qos)]

        def ping(self):
            """Keep alive; on another than the preferred route, go home when the time has come."""
            t = ticks_ms()
            # The time of day is an object: none is made for each ping, but four in the time after which we go home, or one in 10 s.
            if not 0 <= ticks_diff(t, self.asked) < min(10000, 250 * twinroot.core._pol.ret):
                self.asked = t
                if twinroot.core.due():
                    self.connect(False)
            base.ping(self)

    return Client


def mqtt(
    client_id=None,
    user=None,
    password=None,
    keepalive=60,
    timeout=20,
    clean_session=True,
    callback=None,
    last_will=None,
    robust=False,
):
    """A connected client. `last_will`: the arguments of set_last_will(); `callback`: f(topic, message). `robust`: the
    client of umqtt.robust, whose calls reconnect by themselves."""
    # Nothing is read from the set here: a set that cannot be used fails in connect(), which counts it, waits, and rolls back.
    c = _kind(_base(robust))(client_id or "", "", 8883, user, password, keepalive)
    c.own = not client_id
    c.timeout = timeout
    if callback:
        c.set_callback(callback)
    if last_will:
        c.set_last_will(*last_will)
    c.connect(clean_session)
    return c
