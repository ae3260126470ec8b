"""Wi-Fi for applications that have no network code of their own; nothing else imports this."""

from utime import sleep_ms, ticks_add, ticks_diff, ticks_ms

from . import core, errors


def join(ssid=None, password=None, timeout=20):
    """Join the network of the set (`wifi:`), or the one given. The station interface; NetworkError when it does not
    come up in `timeout` seconds."""
    import network

    w = core.state()[0].get("wifi", {})
    ssid = ssid or w.get("ssid")
    if not ssid:
        raise errors.make("set", "no wifi in the set")
    sta = network.WLAN(network.STA_IF)
    sta.active(True)
    if not sta.isconnected():
        sta.connect(ssid, password or w.get("password"))
    end = ticks_add(ticks_ms(), int(timeout * 1000))
    while not sta.isconnected():
        if ticks_diff(end, ticks_ms()) <= 0:
            raise errors.make("network", "wifi %s" % ssid)
        sleep_ms(100)
    return sta
