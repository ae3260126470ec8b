"""The two routes that the stand-in serves: the same account behind two endpoints, each with a root of its own.

Names follow the grammar of AWS IoT Core's data endpoints (PREFIX-ats.iot.REGION.amazonaws.com and PREFIX.iot.REGION.amazonaws.com).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from provisioning.errors import InputError

DEFAULT_PREFIX = "a1b2c3d4e5f6g7"
DEFAULT_REGION = "us-east-1"
# The port that a product names; `lab.resolve` leads it to the stand-in's own.
MQTT_TLS_PORT = 8883
# The time server that a product names unless it says otherwise; led to the stand-in's own, too.
TIME_SERVER = "pool.ntp.org"
NTP_PORT = 123

_PREFIX = re.compile(r"[a-z0-9]{1,40}\Z")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d\Z")


@dataclass(frozen=True)
class RouteSpec:
    """One route: its name, the first label of its endpoint, and the test root that its server's chain ends in."""

    name: str
    label: str
    root: str
    common_name: str


# Preference order. Whoever reads a certificate of the stand-in must see that it is none of Amazon's or VeriSign's.
ROUTES: tuple[RouteSpec, ...] = (
    RouteSpec("ats", "{prefix}-ats", "StandInATS", "Stand-in ATS Root CA 1"),
    RouteSpec("legacy", "{prefix}", "StandInVeriSign", "Stand-in Class 3 Public Primary CA - G5"),
)
ROUTE_NAMES: tuple[str, ...] = tuple(route.name for route in ROUTES)


@dataclass(frozen=True)
class Account:
    """The account that the stand-in plays: a prefix in a region.

    Raises InputError for a prefix or region that no AWS endpoint could have.
    """

    prefix: str = DEFAULT_PREFIX
    region: str = DEFAULT_REGION

    def __post_init__(self) -> None:
        if not _PREFIX.match(self.prefix):
            raise InputError(
                "cloud-prefix", f"'{self.prefix}' is not an endpoint prefix.", "Use lower-case letters and digits, such as a1b2c3."
            )
        if not _REGION.match(self.region):
            raise InputError("cloud-region", f"'{self.region}' is not an AWS region.", "Use a name such as us-east-1.")

    @property
    def domain(self) -> str:
        """What follows the first label: iot.us-east-1.amazonaws.com, with .cn in China."""
        return f"iot.{self.region}.amazonaws.com" + (".cn" if self.region.startswith("cn-") else "")

    def endpoint(self, route: RouteSpec) -> str:
        return f"{route.label.format(prefix=self.prefix)}.{self.domain}"
