"""An external command that signs: what is to be signed on its standard input, the signature on its standard output.

The one way to ask what keeps a key elsewhere: a token's tool, a vault, a script. For the CA of devices and the key of signed sets alike.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from provisioning.errors import StationError

SECONDS = 120  # a person may have to touch the token, or type at it


class SignerFailed(StationError):
    """The command gave no signature. `status`: its exit code, None where it was not started; `output`: its standard error."""

    status: int | None = None
    output = ""


def run(command: Sequence[str], data: bytes, env: Mapping[str, str] | None = None, folder: Path | None = None) -> bytes:
    """What `command`, run in `folder`, answers to `data`. Secrets such as a PIN reach it through `env`, which goes over the environment,
    never by its arguments. Raises SignerFailed, or StationError when it does not start or answers too late."""
    name = command[0]
    environment = {**os.environ, **(env or {})}
    try:
        done = subprocess.run(list(command), input=data, capture_output=True, timeout=SECONDS, check=False, env=environment, cwd=folder)
    except FileNotFoundError:
        raise StationError("signer-missing", f"The signer {name!r} is not installed.", "Check the command that is to sign.") from None
    except OSError as error:
        raise SignerFailed(
            "signer-failed", f"The signer {name!r} cannot be started: {error.strerror}.", "Check its permissions."
        ) from error
    except subprocess.TimeoutExpired:
        raise StationError("signer-hangs", f"The signer {name!r} did not answer within {SECONDS} s.", "Does it wait for a PIN?") from None
    if done.returncode != 0 or not done.stdout:
        output = done.stderr.decode(errors="replace")
        sentence = f"The signer {name!r} ended with code {done.returncode}: {_last_words(output)}."
        failed = SignerFailed("signer-failed", sentence, "Is the token plugged in?")
        failed.status, failed.output = done.returncode, output
        raise failed
    return done.stdout


def _last_words(output: str) -> str:
    """The line that says why: the last one that speaks of an error, else the last."""
    lines = output.strip().splitlines() or ["it said nothing"]
    line = next((line for line in reversed(lines) if "error" in line.lower()), lines[-1])
    return "".join(c for c in line if c.isprintable())[:160].rstrip(".")
