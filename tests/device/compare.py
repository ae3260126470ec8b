"""What MicroPython's MQTT clients do in each failure class, measured: the table of docs/device.md.

    TWINROOT_PEERS=FOLDER python -m tests.device.compare

FOLDER holds umqtt/simple.py, umqtt/robust.py (micropython-lib) and is not part of the project. Each cell is a run of its own on the
real interpreter, against real servers, ended after 8 s.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.device import behaviours as b
from tests.device import sets
from tests.device.broker import Broker
from tests.device.jail import Board
from tests.device.scenarios import PAST
from tests.device.server import Behaviour, Server, context
from tests.device.world import ATS, LEGACY, World
from tests.support import pki

SECONDS = 8

_START = """
import sys
sys.modules.pop("umqtt", None)
HOST, PORT = %r, %d
import socket
_real = socket.getaddrinfo
class _Socket:  # the name of the endpoint leads to loopback, as DNS would do it
    def __getattr__(self, name):
        return getattr(socket, name)
    def getaddrinfo(self, host, port, *rest):
        return _real("127.0.0.1", PORT, *rest) if host == HOST else _real(host, port, *rest)
def der(n):
    from twinroot import tlslink
    return tlslink.der("/trust/1/" + n, b"PRIVATE KEY" if "key" in n else b"CERTIFICATE")
def context(*roots):
    import tls
    c = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    for r in roots:
        c.load_verify_locations(der(r + ".pem"))
    c.load_cert_chain(der("device.crt.pem"), der("device.key.pem"))
    return c
def plain():
    import ssl
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.load_cert_chain(der("device.crt.pem"), der("device.key.pem"))
    return c
def try_(make, module=None):
    if module:
        import umqtt.simple
        umqtt.simple.socket = _Socket()
    try:
        c = make()
        c.publish(b"t", b"x", qos=1)
        print("RESULT connected" + (" (" + c.link.route + ")" if hasattr(c, "link") else ""))
    except Exception as e:
        print("RESULT", type(e).__name__, getattr(e, "kind", ""))
"""

_SIMPLE = """
def make():
    from umqtt.%s import MQTTClient
    c = MQTTClient("t-1", HOST, 8883, keepalive=60, ssl=%s)
    c.connect()
    return c
try_(make, True)
"""

_AS = """
class network:
    STA_IF, STAT_IDLE = 0, 1000
    class WLAN:
        def __init__(self, which):
            pass
        def active(self, on):
            pass
        def connect(self, *_):
            pass
        def isconnected(self):
            return True
        def status(self):
            return 1010
class machine:
    @staticmethod
    def unique_id():
        return b"123456"
sys.modules["network"], sys.modules["machine"] = network, machine
import asyncio, ssl, mqtt_as
mqtt_as.socket = _Socket()
mqtt_as.config.update(client_id="t-1", server=HOST, port=8883, ssl=True, ssid="x", wifi_pw="y", ssl_params={
    "server_hostname": HOST, "cert_reqs": ssl.CERT_REQUIRED, "cadata": der("Ats.pem"),
    "cert": der("device.crt.pem"), "key": der("device.key.pem")})
async def main():
    c = mqtt_as.MQTTClient(mqtt_as.config)
    try:
        await c.connect(quick=True)
        await c.publish("t", "x", False, 1)
        print("RESULT connected")
    except Exception as e:
        print("RESULT", type(e).__name__)
    raise SystemExit
asyncio.run(main())
"""

CLIENTS = {
    "umqtt.simple, ssl.SSLContext as it comes": _SIMPLE % ("simple", "plain()"),
    "umqtt.simple, one root verified": _SIMPLE % ("simple", "context('Ats')"),
    "umqtt.robust, one root verified": (_SIMPLE % ("robust", "context('Ats')")).replace("c.connect()", "c.DELAY = 1; c.reconnect()"),
    "umqtt.simple, union of roots": _SIMPLE % ("simple", "context('Ats', 'Legacy')"),
    "mqtt_as, one root verified": _AS,
    "this package": "import twinroot\ntry_(lambda: twinroot.mqtt(timeout=2))\n",
}

Build = Callable[[World, Path, Broker], Behaviour]


def served(*chain: Callable[[World], list[pki.Cert]], connack: int | None = 0) -> Build:
    def build(world: World, folder: Path, broker: Broker) -> Behaviour:
        broker.connack = connack
        return broker.behaviour(context(folder, chain[0](world), world.devices))

    return build


def leaf(**options: Any) -> Callable[[World], list[pki.Cert]]:
    return lambda w: [pki.server(ATS, w.ats, **options)]


FAILURES: dict[str, Build] = {
    "healthy": served(leaf()),
    "root retired, other endpoint healthy": served(lambda w: [pki.server(ATS, w.legacy)]),
    "portal with a chain of its own": served(lambda w: [pki.server(ATS, pki.root("Portal CA"))]),
    "wrong host name": served(leaf(hosts=("other.example",))),
    "server certificate expired": served(leaf(**PAST)),
    "captive portal, HTTP": lambda w, f, k: b.PORTAL,
    "reset in the handshake": lambda w, f, k: b.reset_after_hello,
    "half-open": lambda w, f, k: b.half_open,
    "CONNACK refused": served(leaf(), connack=5),
    "closed after CONNECT": served(leaf(), connack=None),
}


def cell(client: str, failure: str, peers: dict[str, bytes]) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world, broker = World(folder), Broker()
        healthy = Broker()
        with (
            Server(FAILURES[failure](world, folder / "s", broker)) as ats,
            world.server(LEGACY, world.legacy, healthy.behaviour(world.context(LEGACY, world.legacy))) as legacy,
        ):
            board = Board(folder / "board", sets.board(1, world.build(1, ats.address, legacy.address)) | peers)
            try:
                done = board.run(_START % (ATS, ats.port) + CLIENTS[client], timeout=SECONDS if failure != "healthy" else 20)
            except subprocess.TimeoutExpired:
                return f"no answer, {ats.count} attempt{'s' * (ats.count != 1)}"
            lines = [line[7:].strip() for line in done.out.splitlines() if line.startswith("RESULT ")]
            return lines[0] if lines else (done.out.strip().splitlines() or ["?"])[-1]


def main() -> None:
    folder = Path(os.environ["TWINROOT_PEERS"])
    peers = {f"/lib/{p.relative_to(folder)}": p.read_bytes() for p in folder.rglob("*.py")}
    print("| | " + " | ".join(CLIENTS) + " |\n|" + " --- |" * (len(CLIENTS) + 1))
    for failure in FAILURES:
        print(f"| {failure} | " + " | ".join(cell(c, failure, peers) for c in CLIENTS) + " |", flush=True)


if __name__ == "__main__":
    main()
