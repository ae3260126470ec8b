# mypy: ignore-errors
# ruff: noqa: UP031
# Runs on the board, on MicroPython: the application of the demo's product, written as a user would write his own.
"""A weather station: connect, report health, publish a reading twice a second, survive whatever happens to the connection."""

import json
import time

import twinroot

client = None
go_home = False
reading = 0


def heard(_topic, message):
    global go_home
    go_home = message == b"go home"


while True:
    try:
        if go_home:
            # By itself the package tries the preferred route again within the hour. A technician need not wait for that.
            go_home = False
            client = None
            twinroot.connect(prefer=True)
        if client is None:
            client = twinroot.mqtt(keepalive=30, callback=heard)
            client.subscribe("devices/%s/command" % client.client_id)
            client.publish("devices/%s/health" % client.client_id, json.dumps(twinroot.health()), qos=1)
        reading += 1
        report = {"reading": reading, "route": client.link.route, "root": client.link.root, "clock": time.gmtime()[0]}
        client.publish("devices/%s/reading" % client.client_id, json.dumps(report), qos=1)
        for _ in range(10):
            client.check_msg()
            time.sleep_ms(50)
    except OSError:
        client = None
