"""AWS's own device SDK (awsiotsdk) against the stand-in: mutual TLS to the endpoint's name, which a small proxy leads to the loopback."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from provisioning.standin import StandIn

pytest.importorskip("awsiot", reason="awsiotsdk is not installed")

from awscrt import exceptions, http, mqtt
from awsiot import mqtt_connection_builder

TIMEOUT = 10.0


class Proxy:
    """An HTTP proxy (CONNECT alone) that knows where the stand-in's endpoints are: the SDK looks them up by name alone."""

    def __init__(self, cloud: StandIn) -> None:
        self._places = {f"{route['endpoint']}:8883": (route["host"], route["port"]) for route in cloud.routes}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += client.recv(4096)
            server = socket.create_connection(self._places[asked.split()[1].decode()])
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    @staticmethod
    def _carry(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


class Device:
    """A device of AWS's SDK, connected. `on` subscribes by a client's method and gives a queue of what comes."""

    def __init__(self, cloud: StandIn, name: str, proxy: Proxy, route: str = "ats") -> None:
        certificate, key = cloud.issue(name)
        self.name = name
        self.connection = mqtt_connection_builder.mtls_from_path(
            endpoint=cloud.route(route)["endpoint"],
            port=8883,
            cert_filepath=str(certificate),
            pri_key_filepath=str(key),
            ca_filepath=str(cloud.roots[cloud.route(route)["root"]]),
            client_id=name,
            clean_session=True,
            http_proxy_options=http.HttpProxyOptions("127.0.0.1", proxy.port, connection_type=http.HttpProxyConnectionType.Tunneling),
        )
        self.connection.connect().result(TIMEOUT)

    def on(self, subscribe: Callable[..., tuple[Future[Any], str]], request: Any) -> queue.SimpleQueue[Any]:
        came: queue.SimpleQueue[Any] = queue.SimpleQueue()
        subscribe(request=request, qos=mqtt.QoS.AT_LEAST_ONCE, callback=came.put)[0].result(TIMEOUT)
        return came

    def listen(self, topic: str) -> queue.SimpleQueue[tuple[str, bytes]]:
        came: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()

        def put(topic: str, payload: bytes, **_more: Any) -> None:
            came.put((topic, payload))

        self.connection.subscribe(topic, mqtt.QoS.AT_LEAST_ONCE, put)[0].result(TIMEOUT)
        return came

    def publish(self, topic: str, payload: str) -> None:
        self.connection.publish(topic, payload, mqtt.QoS.AT_LEAST_ONCE)[0].result(TIMEOUT)

    def close(self) -> None:
        with contextlib.suppress(exceptions.AwsCrtError):
            self.connection.disconnect().result(TIMEOUT)
