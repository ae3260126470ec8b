"""--new-identity, the deliberate way to give a board another identity: one board, one device, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from provisioning.errors import InputError

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

new_identity_option: Decorator = click.option(
    "--new-identity",
    is_flag=True,
    help="Give the board the certificate and key of --device that are here or are made now, whatever it holds. The cloud does not know "
    "it by these until they are registered. Noted in the ledger.",
)


def needs_device(new_identity: bool, device_id: str | None) -> None:
    """Raises InputError: a new identity is somebody's."""
    if new_identity and device_id is None:
        raise InputError("bad-arguments", "--new-identity is for a device that is named.", "Add --device ID.")


def no_new_identity(new_identity: bool) -> None:
    """Raises InputError: several boards do not get new identities at once."""
    if new_identity:
        raise InputError("bad-arguments", "--new-identity is for one board.", "Name one port, and the device with --device.")
