# mypy: ignore-errors
# ruff: noqa
# `socket` whose names are resolved by the hardware process: the jail has no resolver configuration.
import socket as _native
from socket import *
from socket import socket, AF_INET, AF_INET6, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW

for _name in (
    "AF_INET",
    "AF_INET6",
    "SOCK_STREAM",
    "SOCK_DGRAM",
    "SOCK_RAW",
    "SOL_SOCKET",
    "SO_REUSEADDR",
    "SO_BROADCAST",
    "SO_KEEPALIVE",
    "SO_LINGER",
    "SO_ERROR",
    "IP_ADD_MEMBERSHIP",
    "IP_DROP_MEMBERSHIP",
    "inet_ntop",
    "inet_pton",
    "sockaddr",
    "socket",
):
    globals()[_name] = getattr(_native, _name)
IPPROTO_TCP = 6
IPPROTO_UDP = 17


def _numeric(host):
    for part in host.split("."):
        if not part.isdigit():
            return ":" in host
    return True


def getaddrinfo(host, port, af=0, type=0, proto=0, flags=0):
    import _hardware, network

    network.require_link(host)
    if not _numeric(host):
        try:
            host = _hardware.call(_hardware.RESOLVE, data=host.encode(), want=True).decode()
        except OSError:
            raise OSError(-202)  # what lwIP's getaddrinfo raises on an ESP32
    return _native.getaddrinfo(host, port, af, type or SOCK_STREAM)


__name__ = "socket"
