"""The signer that --key or --command names."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provisioning.errors import InputError

if TYPE_CHECKING:
    from provisioning.ota.signed_set import Signer


def passphrase_of(variable: str, confirm: bool) -> bytes:
    """From the environment variable `variable`, else asked for without echo; never an argument, which others can see."""
    text = os.environ.get(variable)
    if text is None and not sys.stdin.isatty():
        raise InputError("no-passphrase", "The passphrase of the signing key cannot be asked for without a terminal.", f"Set {variable}.")
    if text is None:
        text = str(click.prompt("Passphrase of the signing key", hide_input=True, confirmation_prompt=confirm, err=True))
    return text.encode()


def signer_of(key: Path | None, program: str | None, passphrase_env: str) -> Signer:
    """The key in a file, whose passphrase is asked for, or else the command that signs. Raises InputError."""
    from provisioning.ota import signed_set

    if key is not None:
        return signed_set.KeySigner(key, passphrase_of(passphrase_env, confirm=False))
    return signed_set.CommandSigner(_words(program or ""))


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError("bad-command", f"--command is not a command line: {error}.", "Close the quotation.") from None
    if not words:
        raise InputError("bad-command", "--command is empty.", "openssl dgst -sha256 -sign KEY is one.")
    return words
