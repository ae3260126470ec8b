# mypy: ignore-errors
# ruff: noqa: UP031
# Runs on the board, on MicroPython: the application of the demo's product, written as a user would write his own.
"""A weather station: connect, report health, publish a reading twice a second, survive whatever happens to the connection."""

import json
import time

import twinroot

client = link = None
reading = 0

while True:
    try:
        if client is None:
            client = twinroot.mqtt(keepalive=30)
        if client.link is not link:
            link = client.link
            client.publish("devices/%s/health" % client.client_id, json.dumps(twinroot.health()), qos=1)
        reading += 1
        report = {"reading": reading, "route": link.route, "root": link.root, "clock": time.gmtime()[0]}
        client.publish("devices/%s/reading" % client.client_id, json.dumps(report), qos=1)
        time.sleep_ms(500)
        client.ping()  # keeps the connection, and comes home to the preferred route when its time has come
        client.check_msg()
    except OSError:
        client = None
