"""The signer that --key or --command names, and the firmware that --firmware does."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioning.cli._output import say
from provisioning.errors import InputError

if TYPE_CHECKING:
    from provisioning.flash.slot_image import SlotImage
    from provisioning.ota.signed_set import Signer


def passphrase_of(variable: str, confirm: bool) -> bytes:
    """From the environment variable `variable`, else, where it is not set or empty, asked for without echo; never an argument, which others
    can see."""
    text = os.environ.get(variable)
    if not text and not sys.stdin.isatty():
        why = f"{variable} is {'not set' if text is None else 'empty'}, and it cannot be asked for without a terminal"
        raise InputError("no-passphrase", f"There is no passphrase of the signing key: {why}.", f"Set {variable}.")
    if not text:
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


def firmware_of(image: Path | None, board: str | None, info: dict[str, Any], files: dict[str, bytes]) -> SlotImage | None:
    """The application in `image` for a slot of the board that the set was rendered for (`info`, `files`: of what is to be signed). Raises
    InputError."""
    from provisioning.bundle.compile import SLOTS
    from provisioning.bundle.pack import unpack
    from provisioning.config.load import list_boards, load_board
    from provisioning.flash import slot_image

    if image is None:
        return None
    if board is None and info["board"] not in list_boards():
        raise InputError(
            "unknown-board",
            f"The set was rendered for the board '{info['board']}', which is a file of yours: its slots are not known.",
            "Name the file with --board.",
        )
    loaded = load_board(board or info["board"])
    found = slot_image.load(image, loaded)
    if loaded.chip != info["chip"] or loaded.name != info["board"]:
        raise InputError(
            "no-slots",
            f"The set was rendered for the board '{info['board']}' with an {info['chip']}, not for '{loaded.name}' with an {loaded.chip}.",
            "Name the board file of the product with --board.",
        )
    package = files.get(f"/lib/twinroot/{info['package']}")
    if package is None or not {f"{name}.mpy" for name in SLOTS} & set(unpack(package)):
        raise InputError(
            "no-slots",
            "The package in this set cannot bring firmware: it was rendered for a board with one place for it, or with --first-loader.",
            "Render again with a board that has `slots:`, and sign without --first-loader.",
        )
    if found.cut is not None:
        say(f"{image} is a whole image: its application, {len(found.content):,} bytes from 0x{found.cut:x} on, goes along.")
    return found
