# mypy: ignore-errors
# ruff: noqa: UP031
# Runs on the board, on MicroPython: the application of the drill's devices.
"""Connect, report health, take what jobs bring, and go on until the plug is pulled."""

import twinroot
from twinroot import jobs, ota, telemetry


def run():
    client = None
    while True:
        try:
            if client is None:
                client = twinroot.mqtt(keepalive=30)
                telemetry.shadow(client)
                client.publish("devices/%s/health" % client.client_id, telemetry.text(), qos=1)
                job = jobs.Jobs(client)
            client.wait_msg()
            if job.done:
                ota.restart()
                client = None
        except OSError as e:
            print(getattr(e, "kind", "network"), e)
            client = None


run()
