"""The way to the account of a running stand-in: for boto3, for the AWS CLI, for `twinroot aws`, and from Python."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# Variables that AWS's libraries prefer to those below.
IN_THE_WAY = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ENDPOINT_URL_IOT",
)


def variables(url: str, ca: Path, region: str, credentials: Path) -> dict[str, str]:
    """Environment variables of AWS's libraries that lead them to a stand-in's control plane."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_CA_BUNDLE": str(ca),
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }


def script(found: Mapping[str, str]) -> str:
    """The same for a shell: `. FILE`."""
    lines = ["# The account of the cloud stand-in, for this shell.", f"unset {' '.join(IN_THE_WAY)}"]
    return "\n".join([*lines, *(f"export {name}={shlex.quote(value)}" for name, value in found.items()), ""])


class Account:
    """The account of a running stand-in, for boto3 and for `twinroot aws`."""

    def __init__(self, facts: Mapping[str, Any], ask: Callable[..., dict[str, Any]]) -> None:
        self._ask = ask
        self.url = str(facts["url"])
        self.ca = Path(facts["ca"])
        self.region = str(facts["region"])
        self.id = str(facts["id"])
        self.access_key_id = str(facts["access_key_id"])
        self.credentials = Path(facts["credentials"])

    @property
    def variables(self) -> dict[str, str]:
        """What leads AWS's tools here; the secret key is in a file that one of them names."""
        return variables(self.url, self.ca, self.region, self.credentials)

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """`base`, by default this process's environment, with `variables`, and without what would lead elsewhere."""
        given = os.environ if base is None else base
        return {name: value for name, value in given.items() if name not in IN_THE_WAY} | self.variables

    def advance(self, seconds: float) -> None:
        """Move the account's clock ahead: minutes of a rollout and timeouts come without a wait."""
        self._ask(do="advance", seconds=seconds)

    def limit(self, operation: str, rate: float) -> None:
        """Take at most `rate` requests a second for `operation` (CreateJob; * for each), the rest is throttled; 0: no limit."""
        self._ask(do="limit", operation=operation, rate=rate)
