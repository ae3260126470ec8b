# mypy: ignore-errors
# ruff: noqa
# `umqtt.simple`, which every stock ESP32 firmware has built in: MQTT 3.1.1, QoS 0 and 1. Written from the MQTT standard
# for the interface that the firmware's module offers.
import socket
import struct


class MQTTException(Exception):
    pass


def _text(b):
    if isinstance(b, str):
        b = b.encode()
    return struct.pack("!H", len(b)) + b


class MQTTClient:
    def __init__(self, client_id, server, port=0, user=None, password=None, keepalive=0, ssl=None, ssl_params={}):
        self.client_id = client_id
        self.server = server
        self.port = port or (8883 if ssl else 1883)
        self.user = user
        self.pswd = password
        self.keepalive = keepalive
        self.ssl = ssl
        self.ssl_params = ssl_params
        self.sock = None
        self.pid = 0
        self.cb = None
        self.lw_topic = self.lw_msg = None
        self.lw_qos = 0
        self.lw_retain = False

    def set_callback(self, f):
        self.cb = f

    def set_last_will(self, topic, msg, retain=False, qos=0):
        assert 0 <= qos <= 2 and topic
        self.lw_topic, self.lw_msg, self.lw_qos, self.lw_retain = topic, msg, qos, retain

    def _packet(self, kind, body):
        head = bytearray((kind,))
        n = len(body)
        while True:
            n, low = n >> 7, n & 0x7F
            head.append(low | (0x80 if n else 0))
            if not n:
                break
        self.sock.write(bytes(head) + body)

    def _length(self):
        n = shift = 0
        while True:
            b = self.sock.read(1)[0]
            n |= (b & 0x7F) << shift
            if not b & 0x80:
                return n
            shift += 7

    def connect(self, clean_session=True, timeout=None):
        sock = socket.socket()
        sock.settimeout(timeout)
        try:
            sock.connect(socket.getaddrinfo(self.server, self.port)[0][-1])
            if self.ssl is True:
                import ssl

                sock = ssl.wrap_socket(sock, **self.ssl_params)
            elif self.ssl:
                sock = self.ssl.wrap_socket(sock, server_hostname=self.server)
        except Exception:
            sock.close()
            raise
        self.sock = sock
        flags = 0x02 if clean_session else 0
        body = _text(self.client_id)
        if self.lw_topic:
            flags |= 0x04 | (self.lw_qos & 3) << 3 | (0x20 if self.lw_retain else 0)
            body += _text(self.lw_topic) + _text(self.lw_msg)
        if self.user is not None:
            flags |= 0xC0
            body += _text(self.user) + _text(self.pswd)
        self._packet(0x10, _text("MQTT") + struct.pack("!BBH", 4, flags, self.keepalive) + body)
        answer = self.sock.read(4)
        # A broker that hangs up gives b"": the IndexError is what the firmware's module raises too.
        if answer[0] != 0x20 or answer[1] != 2:
            raise MQTTException(-1)
        if answer[3]:
            raise MQTTException(answer[3])
        return answer[2] & 1

    def disconnect(self):
        self._packet(0xE0, b"")
        self.sock.close()

    def ping(self):
        self._packet(0xC0, b"")

    def publish(self, topic, msg, retain=False, qos=0):
        if isinstance(msg, str):
            msg = msg.encode()
        body = _text(topic)
        if qos:
            self.pid = self.pid % 65535 + 1
            body += struct.pack("!H", self.pid)
        self._packet(0x30 | qos << 1 | (1 if retain else 0), body + msg)
        if qos == 1:
            pid = self.pid
            while True:
                if self.wait_msg() == 0x40:
                    assert self.sock.read(1) == b"\x02"
                    if struct.unpack("!H", self.sock.read(2))[0] == pid:
                        return
        elif qos == 2:
            assert 0

    def subscribe(self, topic, qos=0):
        assert self.cb is not None, "Subscribe callback is not set"
        self.pid = self.pid % 65535 + 1
        pid = struct.pack("!H", self.pid)
        self._packet(0x82, pid + _text(topic) + bytes((qos,)))
        while True:
            if self.wait_msg() == 0x90:
                answer = self.sock.read(4)
                assert answer[1:3] == pid
                if answer[3] == 0x80:
                    raise MQTTException(answer[3])
                return

    def wait_msg(self):
        res = self.sock.read(1)
        self.sock.setblocking(True)
        if res is None:
            return None
        if res == b"":
            raise OSError(-1)
        op = res[0]
        if op == 0xD0:
            assert self.sock.read(1)[0] == 0
            return None
        if op & 0xF0 != 0x30:
            return op
        size = self._length()
        n = struct.unpack("!H", self.sock.read(2))[0]
        topic = self.sock.read(n)
        size -= n + 2
        pid = None
        if op & 6:
            pid = self.sock.read(2)
            size -= 2
        msg = self.sock.read(size)
        if self.cb:
            self.cb(topic, msg)
        if op & 6 == 2:
            self._packet(0x40, pid)
        elif op & 6 == 4:
            assert 0
        return op

    def check_msg(self):
        self.sock.setblocking(False)
        return self.wait_msg()
