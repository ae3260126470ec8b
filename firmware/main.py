"""Example application: connect, publish, survive. Copy it and replace reading()."""

import json
import time

import twinroot

EVERY_S = 60


def reading():
    return {"uptime": time.ticks_ms() // 1000}


def run(turns=-1):
    client = None
    while turns:
        try:
            if client is None:  # verified, over the best route; waits by itself after failures
                client = twinroot.mqtt(keepalive=2 * EVERY_S + 10)
                client.publish("devices/%s/health" % client.client_id, twinroot.telemetry.text(), qos=1)
            client.ping()  # also goes back to the preferred route when it is time
            client.publish("devices/%s/reading" % client.client_id, json.dumps(reading()), qos=1)
            turns -= 1
            time.sleep(EVERY_S)
        except OSError as e:  # every error of the package is one; e.kind says which, str(e) what to do
            print(getattr(e, "kind", "network"), e)
            client = None


if __name__ == "__main__":
    run()
