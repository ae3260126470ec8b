"""A small MQTT 3.1.1 client, QoS 0 and 1, for builds without umqtt.simple: the same names and the same calls. It is a
stream protocol only; connecting is in session.py."""


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
        self.buf = bytearray(8)
        self.one = bytearray(1)
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

    def _head(self, kind, n):
        """Type and length of a packet of `n` more bytes into the buffer; where they end. Nothing is allocated."""
        b = self.buf
        b[0] = kind
        i = 1
        while True:
            b[i] = n & 0x7F | (0x80 if n > 0x7F else 0)
            n >>= 7
            i += 1
            if not n:
                return i

    def _two(self, i, n):
        self.buf[i] = n >> 8
        self.buf[i + 1] = n & 0xFF
        return i + 2

    def _next(self, i):
        self.pid = self.pid % 65535 + 1
        return self._two(i, self.pid)

    def _await(self, op, n):
        """The acknowledgement `op` of the packet sent last; messages that arrive before it are delivered."""
        while True:
            if self.wait_msg() == op:
                self._read(1)
                r = self._read(n)
                if r[0] << 8 | r[1] == self.pid:
                    return r

    def publish(self, topic, msg, retain=False, qos=0):
        """With bytes for topic and message, nothing is allocated."""
        t = topic.encode() if isinstance(topic, str) else topic
        m = msg.encode() if isinstance(msg, str) else msg
        i = self._head(0x30 | qos << 1 | retain, 2 + len(t) + (2 if qos else 0) + len(m))
        self.sock.write(self.buf, self._two(i, len(t)))
        self.sock.write(t)
        if qos:
            self.sock.write(self.buf, self._next(0))
        self.sock.write(m)
        if qos:
            self._await(0x40, 2)

    def subscribe(self, topic, qos=0):
        t = topic.encode() if isinstance(topic, str) else topic
        i = self._next(self._head(0x82, 5 + len(t)))
        self.sock.write(self.buf, self._two(i, len(t)))
        self.sock.write(t)
        self.sock.write(bytes((qos,)))
        if self._await(0x90, 3)[2] == 0x80:
            raise MQTTException(0x80, "subscription refused")

    def ping(self):
        self.sock.write(b"\xc0\0")

    def disconnect(self):
        self.sock.write(b"\xe0\0")
        self.sock.close()

    def check_msg(self):
        self.sock.setblocking(False)
        return self.wait_msg()

    def wait_msg(self):
        """Deal with one packet. None for nothing (or PINGRESP: then nothing is allocated), else its first byte."""
        r = self.sock.readinto(self.one)
        self.sock.setblocking(True)
        if r is None:
            return None
        op = self.one[0]
        if r and op == 0xD0:
            r = self.sock.readinto(self.one)
        if not r:
            raise MQTTException(-1, "closed by the broker")
        if op == 0xD0:
            self.sock.pong = True
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
            if k > 21:  # MQTT 3.1.1, 2.2.3: four bytes
                raise MQTTException(22, "no MQTT")
        t = self._read(2)
        k = t[0] << 8 | t[1]
        n -= 2 + k + (2 if op & 6 else 0)
        if n < 0 or op & 6 == 6:
            raise MQTTException(22, "no MQTT")
        t = self._read(k)
        if op & 6:
            pid = self._read(2)
        self.cb(t, self._read(n) if n else b"")
        if op & 6:
            self.sock.write(b"\x40\2" + pid)
        return op
