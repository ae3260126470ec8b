"""Signed sets for updates over the air: the container that a device accepts, and the AWS IoT job that carries it."""
