"""What a host name says about an endpoint: whose it is, its class, region and partition, the other endpoint of its pair, its roots.

Each provider reads the names of its own domains (providers/); a name that none of them knows is `custom`: its root is its owner's choice.
"""

from __future__ import annotations

from dataclasses import replace

from provisioning.trust.hostname import why_not_a_host_name
from provisioning.trust.providers import PROVIDERS, Endpoint, Provider, invalid


def classify(host: str) -> Endpoint:
    """Never raises: what is not a host name is class `invalid`, with the reason in `notes`."""
    name = host[:-1] if host.endswith(".") else host
    reason = why_not_a_host_name(name)
    if reason:
        return invalid(host, reason)
    name = name.lower()
    for provider in PROVIDERS.values():
        found = provider.read(name)
        if found is not None:
            return replace(found, host=host) if found.cls == "invalid" else found
    notes = ["not a name of AWS IoT or another provider that twinroot knows: its root is its owner's choice, so the product names it"]
    notes += [note for provider in PROVIDERS.values() if (note := provider.resembles(name))]
    return Endpoint(name, "custom", notes=tuple(notes))


def provider_of(endpoint: Endpoint) -> Provider | None:
    """Whose endpoint it is by its name; None for a custom one."""
    return PROVIDERS[endpoint.provider] if endpoint.provider else None
