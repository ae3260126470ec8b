"""What the control plane answers instead of a result."""

from __future__ import annotations

from typing import Any


class Fault(Exception):
    """An error that the service's model names (ResourceNotFoundException …); `members` are those of its shape beside the message."""

    def __init__(self, name: str, message: str, **members: Any) -> None:
        super().__init__(message)
        self.name = name
        self.message = message
        self.members = members


class Refusal(Exception):
    """An error that any service of AWS may answer with, or the stand-in alone: status, code and message."""

    def __init__(self, status: int, name: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.name = name
        self.message = message


def not_found(message: str) -> Fault:
    return Fault("ResourceNotFoundException", message)


def invalid(message: str) -> Fault:
    """InvalidRequestException, or ValidationException where the operation's model has that one."""
    return Fault("InvalidRequestException", message)


def missing(what: str) -> Refusal:
    """501: AWS has it, the stand-in has not."""
    return Refusal(501, "NotImplemented", f"The cloud stand-in has no {what}; docs/cloud.md has the list of what it has.")
