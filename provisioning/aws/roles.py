"""A role's ARN, looked at before anything is asked or made: AWS refuses a wrong one late, and some of it only when a device comes."""

from __future__ import annotations

import re

from provisioning.errors import InputError

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}", re.ASCII)  # IAM: names and paths of roles


def role(arn: str) -> str:
    """Raises InputError when it is not the ARN of a role."""
    if not _ROLE.fullmatch(arn):
        raise InputError("bad-role", f"{arn[:60]!r} is not the ARN of a role.", "It reads arn:aws:iam::ACCOUNT:role/NAME.")
    return arn
