"""An AWS IoT stream as the carrier of a signed set ("Using AWS IoT MQTT-based file delivery in devices"): blocks of a file are asked for
on get/json, and come as base64 in messages on data/json. Loaded with a job that names a stream."""

import ujson
from micropython import const
from ubinascii import a2b_base64

from . import ota

_BLOCK = const(2048)  # bytes; with its base64 a message has 2.8 KB
_AHEAD = const(4)  # blocks that are asked for together
_PIECE = const(256)  # characters of base64 that are decoded together


def _number(msg, key):
    """The number that follows `key` in the message, -1 when none does. It is not parsed: what fills it is in there as text."""
    i = msg.find(key) + len(key)
    n = -1
    if i >= len(key):
        while i < len(msg) and msg[i] in b" :":
            i += 1
        while i < len(msg) and 48 <= msg[i] < 58 and n < 1000000:
            n = max(n, 0) * 10 + msg[i] - 48
            i += 1
    return n


class Stream:
    """`d`: what the job document says of it, {"stream": id, "file": number, "size": bytes of it}; `things`: "$aws/things/NAME/"."""

    def __init__(self, update, things, d):
        self.update = update
        self.file = d["file"] | 0
        self.blocks = (d["size"] + _BLOCK - 1) // _BLOCK
        t = d["stream"] + ""
        if not 0 < len(t) <= 128 or [1 for c in t if not (c.isalpha() or c.isdigit() or c in "-_")]:
            raise ValueError("no stream: " + t[:40])
        self.base = things + "streams/" + t
        self.topics = (self.base + "/data/json", self.base + "/rejected/json")
        self.end = 0  # the block behind those that were asked for

    def ask(self):
        """(topic, text) that asks for the next blocks."""
        u = self.update
        i = u.wanted // _BLOCK
        n = max(1, min(_AHEAD, self.blocks - i, (u.stop + _BLOCK - 1) // _BLOCK - i))  # behind u.stop the board may have it
        self.end = i + n
        return self.base + "/get/json", ujson.dumps({"f": self.file, "l": _BLOCK, "o": i, "n": n})

    def message(self, topic, msg):
        """True when the next blocks are to be asked for."""
        if topic != self.topics[0]:
            raise ota._no("stream: " + str(msg[:100], "utf-8"), "Check stream and policy")
        i = _number(msg, b'"i"')
        if i < 0 or _number(msg, b'"f"') != self.file:
            return False
        p = msg.find(b'"p"')
        p = msg.find(b'"', msg.find(b":", p)) + 1
        end = msg.find(b'"', p)
        at = i * _BLOCK
        u = self.update
        if p > 0 and end > p and at <= u.wanted:  # a block before it is missing otherwise
            msg = memoryview(msg)
            while p < end and not u.done:
                d = a2b_base64(msg[p : min(p + _PIECE, end)])
                u.feed(d, at)
                at += len(d)
                p += _PIECE
        return not u.done and (i + 1 >= self.end or u.wanted // _BLOCK >= self.end)
