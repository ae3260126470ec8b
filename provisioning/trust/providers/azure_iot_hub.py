"""Azure IoT Hub: HUB.azure-devices.net, two roots, devices that are known by their X.509 certificate.

Microsoft moved it from the Baltimore root to DigiCert Global Root G2 until September 2024 and asks that devices trust Microsoft RSA Root
Certificate Authority 2017 as well, for the day on which the former goes. Nothing here has been tried against Azure itself.
"""

from __future__ import annotations

import re

from provisioning.trust.providers.provider import Endpoint, Provider, Shown, invalid

ROOTS = ("DigiCertGlobalRootG2", "MicrosoftRSARootCA2017")
# Domain -> part of the cloud. The sovereign ones may still use an older root, so that a product names its roots there.
_DOMAINS = {"azure-devices.net": "azure", "azure-devices.us": "azure-us-gov", "azure-devices.cn": "azure-cn"}
_PROVISIONING = "azure-devices-provisioning"
_HUB = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,48}[a-z0-9])")  # 3 to 50 characters


def _read(name: str) -> Endpoint | None:
    if f".{_PROVISIONING}." in f".{name}":
        return Endpoint(name, "provisioning", provider="azure-iot-hub", roots=ROOTS, device_roots=ROOTS)
    domain = next((one for one in _DOMAINS if name == one or name.endswith("." + one)), None)
    if domain is None:
        return None
    hub = name[: -len(domain) - 1]
    if not _HUB.fullmatch(hub):
        return invalid(name, f"a hub is called NAME.{domain}, its name 3 to 50 letters, digits and hyphens")
    if _DOMAINS[domain] != "azure":
        note = "this part of Azure changes its roots on dates of its own: name the roots in the product"
        return Endpoint(name, "hub", partition=_DOMAINS[domain], notes=(note,), provider="azure-iot-hub")
    return Endpoint(name, "hub", partition="azure", roots=ROOTS, provider="azure-iot-hub", device_roots=ROOTS)


PROVIDER = Provider(
    name="azure-iot-hub",
    title="Azure IoT Hub",
    read=_read,
    classes={"hub": "an IoT Hub", "provisioning": "a Device Provisioning Service"},
    no_data=frozenset({"provisioning"}),
    roots=ROOTS,
    port_443="takes MQTT only inside WebSockets, which MicroPython's clients do not speak",
    client_id=re.compile(r"[A-Za-z0-9\-:.+%_#*?!(),=@;$']+"),
    client_id_bytes=128,
    client_id_rule="the id of the device in the hub: letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $ '",
    user="{host}/{client_id}/?api-version=2021-04-12",
    topics={
        "devices/{client_id}/messages/events/": "publish: readings",
        "devices/{client_id}/messages/devicebound/#": "subscribe: messages from the cloud",
        "$iothub/twin/res/#": "subscribe: the device twin",
        "$iothub/methods/POST/#": "subscribe: direct methods",
    },
    shown=Shown(roots=True),
    sources=(
        "learn.microsoft.com: Migrate IoT Hub resources to a new TLS certificate root",
        "learn.microsoft.com: Communicate with an IoT hub using the MQTT protocol",
    ),
)
