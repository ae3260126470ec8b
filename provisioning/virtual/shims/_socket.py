# mypy: ignore-errors
# ruff: noqa
# `socket` whose names are resolved by the hardware process: the jail has no resolver configuration.
from usocket import (
    AF_INET,
    AF_INET6,
    IP_ADD_MEMBERSHIP,
    IP_DROP_MEMBERSHIP,
    MSG_DONTWAIT,
    MSG_PEEK,
    SO_BROADCAST,
    SO_ERROR,
    SO_KEEPALIVE,
    SO_LINGER,
    SO_REUSEADDR,
    SOCK_DGRAM,
    SOCK_RAW,
    SOCK_STREAM,
    SOL_SOCKET,
    getaddrinfo as _getaddrinfo,
    inet_ntop,
    inet_pton,
    sockaddr,
    socket,
)

IPPROTO_IP = 0
TCP_NODELAY = 1
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
    return _getaddrinfo(host, port, af, type or SOCK_STREAM)
