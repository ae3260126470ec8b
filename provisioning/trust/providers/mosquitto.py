"""A broker of one's own, such as Eclipse Mosquitto, with a CA of one's own that will expire: any host, the roots that the product pins.

Two CAs under `roots:`, the one in use and the next, are what saves a device from the day the first one ends.
"""

from __future__ import annotations

from provisioning.trust.providers.provider import Provider, Shown

PROVIDER = Provider(
    name="mosquitto",
    title="an MQTT broker of your own",
    read=lambda name: None,  # no name tells that it is one: `cloud.provider: mosquitto` does
    classes={"custom": "a custom"},
    any_host=True,
    client_id_rule="any text; two connections with one id end the older one (MQTT 3.1.1, 3.1.4)",
    shown=Shown(client_certificate=True),  # require_certificate: a broker that asks for none takes any client
    sources=("mosquitto.conf(5): cafile, certfile, require_certificate",),
)
