"""For MQTT clients that an application already has: each gets what it expects, and its connection goes through the route policy.

    umqtt.simple, umqtt.robust     MQTTClient(id, host, ssl=adapter.Context())
    mqtt_as                        MQTTClient = adapter.mqtt_as(MQTTClient)
    asyncio                        reader, writer = await adapter.streams()

The host name given to the client only decides where it dials first: that TCP connection is closed, and a verified one over the
best route is handed back. `MQTTClient` of this package (twinroot.mqtt()) does not make that detour.
"""

import sys

import twinroot  # core is looked up there: after a rollback it is that of another package


class Context:
    """An object with wrap_socket(), which is all that umqtt wants from `ssl`. `link`: the connection handed out last."""

    link = None

    def __init__(self, timeout=20, limit=0):
        self.timeout = timeout
        self.limit = limit  # seconds that a later read may wait, 0: for ever, as umqtt's own

    def wrap_socket(self, sock, server_hostname=None, **_):
        sock.close()
        self.link = k = twinroot.core.connect(self.timeout)
        k.wire.limit = int(self.limit * 1000)
        return k.sock

    def accepted(self):
        """The server has answered what it answers to no stranger, a CONNACK for instance: a device certificate that is new is proven."""
        if getattr(self.link, "owes", None):
            self.link.accepted()


def mqtt_as(base, timeout=20):
    """A subclass of mqtt_as.MQTTClient whose connections are this package's. mqtt_as imports `ssl` when it connects and calls
    ssl.wrap_socket(): for that moment it finds a Context there."""

    class Client(base):
        async def _connect(self, clean):
            await _back_off()
            context = _NonBlocking(timeout)
            before = sys.modules.get("ssl")
            sys.modules["ssl"] = context
            self._ssl = True
            try:
                await base._connect(self, clean)
                context.accepted()
            except OSError as e:
                if not context.instead(e):
                    raise e
                try:
                    await base._connect(self, clean)
                except OSError:
                    context.trial.back()
                    raise e
                context.trial.lost()
            finally:
                if before:
                    sys.modules["ssl"] = before
                else:
                    del sys.modules["ssl"]

    return Client


class _NonBlocking(Context):
    trial = None

    def wrap_socket(self, sock, **_):
        if self.trial:
            sock.close()
            s = self.link.sock
        else:
            s = Context.wrap_socket(self, sock)
        s.setblocking(False)
        return s

    def instead(self, e):
        """True when the next socket is one by the set before: with a certificate that no server has accepted yet, that is asked as well."""
        k = self.link
        if not getattr(k, "owes", None):
            return False
        twinroot.core._failing().refused()
        k.wire.dead = True
        k.close()
        self.link = k = None
        self.trial = twinroot.trial
        self.link = self.trial.instead(e, self.timeout)
        return self.link is not None


async def _back_off():
    """What connect() would sleep, without stopping the other tasks."""
    import asyncio

    await asyncio.sleep_ms(twinroot.core.pause())


async def streams(timeout=20):
    """(reader, writer) of asyncio over a verified connection. The handshake itself does not yield: it takes 1 to 2 s on an ESP32."""
    import asyncio

    await _back_off()
    s = asyncio.StreamReader(_NonBlocking(timeout).wrap_socket(_Nothing))
    return s, s


class _Nothing:
    @staticmethod
    def close():
        pass
