"""The clouds that devices connect to. A new one is a file in this folder that defines PROVIDER; everything else asks the table below."""

from __future__ import annotations

import importlib
import pkgutil

from provisioning.trust.providers.provider import Endpoint, Provider, Shown, invalid

__all__ = ["PROVIDERS", "Endpoint", "Provider", "Shown", "invalid"]

PROVIDERS: dict[str, Provider] = {
    made.name: made
    for made in (
        importlib.import_module(f"{__name__}.{name}").PROVIDER
        for name in sorted(found.name for found in pkgutil.iter_modules(__path__))
        if name != "provider"
    )
}
