"""What others take on the same board: `mpremote cp` of the same files, the same again, and esptool before it on a blank chip."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.silicon.product import Products
from tests.silicon.rig import LIMIT, Rig, RowFailedError, run

_BIN = Path(sys.executable).parent


def copy(rig: Rig, products: Products) -> float:
    """Seconds of `mpremote cp -r` of the set's files to a board that holds nothing."""
    rig.start("blank")
    seconds = _mpremote(rig, products)
    rig.keep("copied")
    return seconds


def put(rig: Rig, file: Path) -> None:
    """One file into the root folder."""
    _ran([str(_BIN / "mpremote"), "connect", rig.board.pty, "cp", str(file), ":"])


def write(rig: Rig, path: str, text: str) -> None:
    """A file of the user's, as mpremote writes it; nothing is restarted."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / Path(path).name
        file.write_text(text, "utf-8")
        put(rig, file)


def copy_again(rig: Rig, products: Products) -> float:
    """The same once more: it compares hashes and copies nothing."""
    rig.start("copied", lambda on: _mpremote(on, products))
    return _mpremote(rig, products)


def _mpremote(rig: Rig, products: Products) -> float:
    return _ran([str(_BIN / "mpremote"), "connect", rig.board.pty, "cp", "-r", *products.files, ":"])


def esptool(rig: Rig, *arguments: str, limit: float = LIMIT) -> float:
    """Seconds of an esptool command on the board's RFC 2217 port, stub and reset lines included."""
    return _ran([str(_BIN / "esptool"), "--chip", rig.image.chip, "--port", rig.board.rfc2217, *arguments], limit)


def _ran(line: list[str], limit: float = LIMIT) -> float:
    seconds, code, out, said = run(line, limit)
    if code:
        raise RowFailedError(f"{Path(line[0]).name}: {(said or out).strip()[-300:]}")
    return seconds
