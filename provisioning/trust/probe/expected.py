"""What a live server shows, beside what its provider's servers show: something else may answer in its place."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning.trust.endpoint import classify
from provisioning.trust.probe.examine import Examination
from provisioning.trust.providers import PROVIDERS


def differences(seen: Examination, provider: str | None) -> Iterator[str]:
    """A sentence for each difference. `provider`: the product's; None: the one whose name the host has, if any."""
    endpoint = classify(seen.host)
    known = PROVIDERS.get(provider or endpoint.provider or "")
    if known is None or not seen.chain:
        return
    asks = not seen.client_certificate.startswith("not asked")
    if known.shown.client_certificate is not None and asks != known.shown.client_certificate:
        verb = "asks" if asks else "does not ask"
        yield f"unlike {known.title}, this server {verb} for a client certificate"
    if known.shown.roots and endpoint.roots and seen.all_roots not in endpoint.roots:
        end = seen.all_roots or seen.wanted or "an unknown issuer"
        yield f"unlike {known.classes[endpoint.cls]} endpoint of {known.title}, its chain ends in {end}, not in {', '.join(endpoint.roots)}"
