"""Which Python a board runs, asked in a way that every one of them understands, and a refusal of those that twinroot cannot serve."""

from __future__ import annotations

from provisioning.errors import BoardError, TwinrootError
from provisioning.link.board_messages import FLASH
from provisioning.link.repl import RawRepl
from provisioning.parsed import literal

# The first MicroPython whose ssl module can verify a server at all (SSLContext, CERT_REQUIRED, a date check).
OLDEST = (1, 22)
_WHO = "import sys\nprint(list(sys.implementation)[:2])"
_NAMES = {"circuitpython": "CircuitPython"}


def refuse(name: str, version: tuple[int, ...], port: str) -> None:
    """Raise BoardError unless `name` and `version`, as sys.implementation has them, are those of a MicroPython that is new enough."""
    if name != "micropython":
        raise BoardError(
            "circuitpython" if name == "circuitpython" else "other-python",
            f"The board on {port} runs {_NAMES.get(name, name)} {'.'.join(map(str, version[:2]))}; twinroot needs MicroPython.",
            FLASH,
        )
    if version[:2] < OLDEST:
        raise BoardError(
            "micropython-too-old",
            f"The board on {port} runs MicroPython {version[0]}.{version[1]}, whose TLS cannot verify a server's dates.",
            f"Write MicroPython {OLDEST[0]}.{OLDEST[1]} or later: `twinroot flash PRODUCT.yaml`.",
        )


def ask(repl: RawRepl) -> None:
    """Ask the board and refuse what it is, if need be. Asked twice: the answer has no check sum, which not every Python can make, and
    what the line has damaged, or nobody answers, is no reason to refuse a board."""
    try:
        repl.enter()
        first, second = repl.run(_WHO), repl.run(_WHO)
        name, version = literal(first.decode("utf-8", "replace").strip())
        version = tuple(version)
    except (TwinrootError, ValueError, TypeError):
        return
    if first != second or not isinstance(name, str) or len(version) < 2 or not all(type(part) is int for part in version[:2]):
        return
    refuse(name, version, repl.wire.name)
