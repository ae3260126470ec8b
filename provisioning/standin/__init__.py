"""A local stand-in for AWS IoT Core: one account behind two endpoints, each with a root of its own, and scenarios to break them."""

from provisioning.standin.control_client import StandIn

__all__ = ["StandIn"]
