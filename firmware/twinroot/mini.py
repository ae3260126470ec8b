"""A small MQTT 3.1.1 client, QoS 0 and 1, for builds without umqtt.simple: the same names and the same calls. It is a
stream protocol only; connecting is in client.py."""

import struct


class MQTTException(OSError):
    pass


class MQTTClient:
    def __init__(self, client_id, server=None, port=0, user=None, password=None, keepalive=0, **_):
        self.client_id = client_id
        self.server = server
        self.port = port
        self.user = user
        self.pswd = password
        self.keepalive = keepalive
        self.sock = None
        self.cb = None
        self.pid = 0
        self.lw_topic = self.lw_msg = None
        self.lw_qos = 0
        self.lw_retain = False

    def set_callback(self, f):
        self.cb = f

    def set_last_will(self, topic, msg, retain=False, qos=0):
        self.lw_topic = topic
        self.lw_msg = msg
        self.lw_qos = qos
        self.lw_retain = retain

    def _read(self, n):
        d = self.sock.read(n)
        if d is None or len(d) < n:
            raise MQTTException(-1, "closed by the broker")
        return d

    def _send(self, kind, *parts):
        """One packet; a part is bytes or str, a topic goes with its length before it."""
        n = 0
        for p in parts:
            n += len(p)
        head = bytearray(5)
        head[0] = kind
        i = 1
        while True:
            head[i] = n & 0x7F | (0x80 if n > 0x7F else 0)
            n >>= 7
            i += 1
            if not n:
                break
        self.sock.write(memoryview(head)[:i])
        for p in parts:
            self.sock.write(p)

    def _next(self):
        self.pid = self.pid % 65535 + 1
        return struct.pack("!H", self.pid)

    def _await(self, op, n):
        """The acknowledgement `op` of the packet sent last; messages that arrive before it are delivered."""
        while True:
            if self.wait_msg() == op:
                self._read(1)
                r = self._read(n)
                if r[0] << 8 | r[1] == self.pid:
                    return r

    def publish(self, topic, msg, retain=False, qos=0):
        t = topic.encode() if isinstance(topic, str) else topic
        m = msg.encode() if isinstance(msg, str) else msg
        if qos:
            self._send(0x32 | retain, struct.pack("!H", len(t)), t, self._next(), m)
            self._await(0x40, 2)
        else:
            self._send(0x30 | retain, struct.pack("!H", len(t)), t, m)

    def subscribe(self, topic, qos=0):
        t = topic.encode() if isinstance(topic, str) else topic
        self._send(0x82, self._next(), struct.pack("!H", len(t)), t, bytes((qos,)))
        if self._await(0x90, 3)[2] == 0x80:
            raise MQTTException(0x80, "subscription refused")

    def ping(self):
        self._send(0xC0)

    def disconnect(self):
        self._send(0xE0)
        self.sock.close()

    def check_msg(self):
        self.sock.setblocking(False)
        return self.wait_msg()

    def wait_msg(self):
        """Deal with one packet. None for nothing (or PINGRESP), else its first byte."""
        r = self.sock.read(1)
        self.sock.setblocking(True)
        if r is None:
            return None
        if not r:
            raise MQTTException(-1, "closed by the broker")
        op = r[0]
        if op == 0xD0:
            self._read(1)
            return None
        if op & 0xF0 != 0x30:
            return op
        n = k = 0
        while True:
            b = self._read(1)[0]
            n |= (b & 0x7F) << k
            k += 7
            if b < 0x80:
                break
        t = self._read(2)
        t = self._read(t[0] << 8 | t[1])
        n -= 2 + len(t)
        if op & 6:
            pid = self._read(2)
            n -= 2
        self.cb(t, self._read(n) if n else b"")
        if op & 6:
            self._send(0x40, pid)
        return op
