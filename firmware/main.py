"""Example application: connect, publish, survive. Copy it and replace reading().

Every failure of the connection package is an OSError, and connecting goes through the route policy, so one loop is
enough. Trust, clock and refusal are told apart only to be told to people.
"""

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
            if client is None:
                client = twinroot.mqtt(keepalive=2 * EVERY_S)
                client.publish("devices/%s/health" % client.client_id, json.dumps(twinroot.health()), qos=1)
            client.ping()
            client.publish("devices/%s/reading" % client.client_id, json.dumps(reading()), qos=1)
            turns -= 1
            time.sleep(EVERY_S)
        except OSError as e:
            print(getattr(e, "kind", "network"), e)
            client = None  # the next turn connects again, after the back-off that the policy demands


if __name__ == "__main__":
    run()
