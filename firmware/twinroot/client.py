"""mqtt(): a connected MQTT client over the best route. First the connection, while there is room for a handshake and large certificates,
then the client that goes on it (session.py): that way both fit in 2 KB less."""

import ustruct

import twinroot


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
    k = twinroot.core.connect(timeout)
    try:
        b = _base(robust)
        over = None, [k]
        try:
            from . import session
        except ImportError:  # the set before stands in, and its package is of a release whose clients connect by themselves
            session = twinroot.client
            over = ()
        c = session._kind(b)(client_id or "", "", 8883, user, password, keepalive)
        c.own = not client_id
        c.timeout = timeout
        c.set_callback(callback)
        if last_will:
            c.set_last_will(*last_will)
    except Exception as e:
        k.wire.dead = True  # an end that forgives nothing: a loop of these is bounded as any other
        k.close()
        f = twinroot.core._failing()
        f.refused()
        raise f.ours(e) if isinstance(e, (MemoryError, OSError)) else e
    k = None  # nobody else holds it: it may make way for another
    c.connect(clean_session, *over)
    return c
