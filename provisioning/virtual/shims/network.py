# mypy: ignore-errors
# ruff: noqa
# `network`: a station whose link the hardware decides on; once connected, sockets are the host's network.
import _hardware

STA_IF, AP_IF = 0, 1
STAT_IDLE, STAT_CONNECTING, STAT_GOT_IP = 1000, 1001, 1010
STAT_BEACON_TIMEOUT, STAT_NO_AP_FOUND, STAT_WRONG_PASSWORD, STAT_ASSOC_FAIL, STAT_HANDSHAKE_TIMEOUT = 200, 201, 202, 203, 204
STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY, STAT_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD, STAT_NO_AP_FOUND_IN_RSSI_THRESHOLD = 210, 211, 212
AUTH_OPEN, AUTH_WEP, AUTH_WPA_PSK, AUTH_WPA2_PSK, AUTH_WPA_WPA2_PSK, AUTH_WPA2_ENTERPRISE, AUTH_WPA3_PSK, AUTH_WPA2_WPA3_PSK = range(8)
MODE_11B, MODE_11G, MODE_11N = 1, 2, 4
_STATUS, _ACTIVE, _CONNECT, _DISCONNECT, _LINK = range(5)
_hostname = "mpy-esp32"
_country = "XX"


def require_link(host):
    """OSError when the hardware has cut the network, except for the board's own loopback."""
    if not _hardware.call(_hardware.WIFI, _LINK):
        raise OSError(118)


class WLAN:
    IF_STA, IF_AP = 0, 1
    SEC_OPEN, SEC_WEP, SEC_WPA, SEC_WPA2, SEC_WPA_WPA2, SEC_WPA2_ENT, SEC_WPA3, SEC_WPA2_WPA3 = range(8)
    PM_NONE, PM_PERFORMANCE, PM_POWERSAVE = 0, 1, 2

    def __init__(self, interface_id=STA_IF):
        if interface_id not in (STA_IF, AP_IF):
            raise ValueError("invalid WLAN interface identifier")
        self._if = interface_id
        self._ssid = ""

    def active(self, on=None):
        if on is None:
            return bool(_hardware.call(_hardware.WIFI, _ACTIVE, 2))
        return bool(_hardware.call(_hardware.WIFI, _ACTIVE, 1 if on else 0))

    def connect(self, ssid=None, key=None, *, bssid=None):
        if not self.active():
            raise OSError("Wifi Not Started")
        self._ssid = ssid or ""
        _hardware.call(_hardware.WIFI, _CONNECT, 0, ("%s\0%s" % (ssid or "", key or "")).encode())

    def disconnect(self):
        _hardware.call(_hardware.WIFI, _DISCONNECT)

    def isconnected(self):
        return self._if == STA_IF and self.status() == STAT_GOT_IP

    def status(self, what=None):
        if what == "rssi":
            return -55
        return _hardware.call(_hardware.WIFI, _STATUS)

    def ifconfig(self, value=None):
        if value is None:
            if self.isconnected():
                return ("192.168.4.2", "255.255.255.0", "192.168.4.1", "192.168.4.1")
            return ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")

    def ipconfig(self, *args, **kwargs):
        if args and args[0] in ("addr4", "gw4"):
            a = self.ifconfig()
            return (a[0], a[1]) if args[0] == "addr4" else a[2]

    def scan(self):
        return []

    def config(self, *args, **kwargs):
        if kwargs:
            return None
        if args[0] == "mac":
            import machine

            return machine.unique_id()
        return {"ssid": self._ssid, "essid": self._ssid, "channel": 1, "pm": 1, "reconnects": -1, "txpower": 20.0}.get(args[0])


def hostname(name=None):
    global _hostname
    if name is None:
        return _hostname
    _hostname = name


def country(code=None):
    global _country
    if code is None:
        return _country
    _country = code


def ipconfig(*args, **kwargs):
    pass


def phy_mode(mode=None):
    return MODE_11B | MODE_11G | MODE_11N
