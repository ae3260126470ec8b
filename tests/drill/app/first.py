# mypy: ignore-errors
# ruff: noqa: UP031
# Runs on the board, on MicroPython: the application of the first devices that were sold, which knows of no jobs.
"""Connect, report health, and go on until the plug is pulled."""

import json

import twinroot


def run():
    client = None
    while True:
        try:
            if client is None:
                client = twinroot.mqtt(keepalive=30)
                client.publish("devices/%s/health" % client.client_id, json.dumps(twinroot.health()), qos=1)
                client.subscribe("devices/%s/command" % client.client_id)
            client.wait_msg()
        except OSError as e:
            print(getattr(e, "kind", "network"), e)
            client = None


run()
