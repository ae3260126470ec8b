"""botocore's service models, each loaded when it is first asked for: reading them takes longer than a start of the stand-in may."""

from __future__ import annotations

from botocore.loaders import Loader

from provisioning.standin.account.model import Service

# The services whose protocol is rest-json, by the name in a signature.
SIGNED_AS = {"iot": "iot", "execute-api": "iot", "iot-jobs-data": "iot-jobs-data", "iotdata": "iot-data"}


class Models:
    """Services by their names in botocore."""

    def __init__(self) -> None:
        self._loaded: dict[str, Service] = {}

    def service(self, name: str) -> Service:
        if name not in self._loaded:
            self._loaded[name] = Service(name, Loader())
        return self._loaded[name]


MODELS = Models()
