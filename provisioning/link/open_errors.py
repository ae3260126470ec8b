"""Why a port could not be opened, as a sentence: what the operating system and pyserial say, in words for people."""

from __future__ import annotations

import errno
import re

from provisioning.errors import InputError, StationError
from provisioning.link.port_names import bad


def _cause(error: BaseException) -> int | None:
    """The operating system's number for an error that pyserial put into words of its own, one inside the other."""
    while getattr(error, "errno", None) is None and error.__context__ is not None:
        error = error.__context__
    return getattr(error, "errno", None)


# What the operating system says -> sentence about the port. Everything else is said in the system's own words.
_ABSENT = {
    errno.ENOENT: "There is no port {0}.",
    errno.ENODEV: "There is no device behind the port {0}.",
    errno.ENXIO: "There is no device behind the port {0}.",
    errno.EIO: "The device behind the port {0} does not answer.",
    errno.ECONNREFUSED: "Nothing listens at {0}.",
    errno.ETIMEDOUT: "{0} does not answer.",
    errno.EHOSTUNREACH: "There is no way to {0}.",
    errno.ENETUNREACH: "There is no way to {0}.",
}


class PortBusy(StationError):
    """Another program has the port open; right after a restart that may be the system's own look at it."""


class PortNotFound(StationError):
    """The port is not there, or not any more; a native USB port may come back."""


def why(spec: str, error: Exception) -> StationError | InputError:
    import socket

    from provisioning.link.holders import advice, holders, meddlers

    text = str(error)
    number = _cause(error)
    if "invalid URL" in text or "expected a string in the form" in text:
        return bad(spec, "is not a port that can be opened")
    if number in (errno.ENOTTY, errno.EISDIR) or "Inappropriate ioctl" in text:
        return bad(spec, "is not a serial port")
    if (
        number in (errno.EAGAIN, errno.EBUSY)
        or "exclusively lock" in text
        or "Access is denied" in text
        or "PermissionError(13, 'Acc" in text
    ):
        others = holders(spec) if "://" not in spec else []
        who = ", ".join(others) if others else "Another program"
        return PortBusy(
            "port-busy",
            f"{who} {'use' if len(others) > 1 else 'uses'} {spec}.",
            advice(others) or f"Close {'them' if len(others) > 1 else 'it'} (a serial monitor?) and run the command again.",
        )
    if number == errno.EACCES:
        return StationError(
            "port-denied",
            f"This user may not open {spec}.",
            "Add the user to the group that owns it (dialout or uucp), then log in again.",
        )
    if isinstance(error.__context__, socket.gaierror):
        sentence = "The host of {0} is not known."
    elif "FileNotFoundError" in text:  # pyserial on Windows
        sentence = _ABSENT[errno.ENOENT]
    else:
        words = re.split(r"\[Errno \d+\] |: ", text.splitlines()[0] if text else type(error).__name__)[-1].rstrip(".")
        sentence = _ABSENT.get(number or 0, "{0} cannot be opened: " + words.replace("{", "").replace("}", "") + ".")
    taken = advice(meddlers()) if "brltty" in meddlers() and "://" not in spec else ""
    return PortNotFound(
        "port-not-found",
        sentence.format(spec),
        taken or "Check the name and the cable; `twinroot doctor` lists the ports, --port auto finds a single board.",
    )
