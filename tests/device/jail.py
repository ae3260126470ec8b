"""A real MicroPython in a jail, for tests of the connection package that need no whole virtual board.

The interpreter starts in an empty directory, opens a littlefs image, gives up the host's file system
(`vfs.umount('/')`) before any other code, mounts the image and runs the script it got on standard input.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import littlefs_image

ROOT = Path(__file__).resolve().parents[2]
MICROPYTHON = Path(os.environ.get("TWINROOT_MICROPYTHON", ROOT / ".venv" / "bin" / "micropython"))  # another unix build, to try one
BLOCKS = 128  # 512 KiB

# `_cut`: power fails in the flash operation of that number (a torn write: half of the block is programmed).
_BOOT = """
import sys, vfs, json
_f = open("flash.img", "r+b")
_o = json.loads(sys.stdin.readline())
_src = sys.stdin.read()
vfs.umount("/")
class _Flash:
    blank = b"\\xff" * 256  # small: footprint.py measures the heap around this
    ops = 0
    dead = False
    def _op(self):
        if self.dead or self.ops == _o["cut"]:
            self.dead = True
            return True
        self.ops += 1
    def readblocks(self, n, buf, off=0):
        _f.seek(n * 4096 + off)
        _f.readinto(buf)
    def writeblocks(self, n, buf, off=0):
        if self.dead:
            raise SystemExit(86)
        if self._op():
            _f.seek(n * 4096 + off)
            _f.write(memoryview(buf)[:len(buf) // 2])
            _f.flush()
            raise SystemExit(86)
        _f.seek(n * 4096 + off)
        _f.write(buf)
        _f.flush()
    def ioctl(self, op, arg):
        if op == 4:
            return _o["blocks"]
        if op == 5:
            return 4096
        if op == 6:
            if self._op():
                raise SystemExit(86)
            _f.seek(arg * 4096)
            for _ in range(16):
                _f.write(self.blank)
            return 0
        return 0
flash = _Flash()
vfs.mount(vfs.VfsLfs2(flash, mtime=False), "/")
import os
assert "etc" not in os.listdir("/")
os.chdir("/")
sys.path[:] = ["", "/lib", ".frozen"]
del os, vfs
exec(_src, {"flash": flash, "__name__": "__main__"})
"""


@dataclass
class Run:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The last line of the output."""
        assert self.code == 0, self.err + self.out
        return json.loads(self.out.strip().splitlines()[-1])


class Board:
    """A littlefs image and the interpreter that runs on it; every `run` is a power-on."""

    def __init__(self, folder: Path, tree: dict[str, bytes] | None = None, blocks: int = BLOCKS) -> None:
        self.folder = folder
        self.blocks = blocks
        self.interpreter = MICROPYTHON
        self.image = folder / "flash.img"
        folder.mkdir(parents=True, exist_ok=True)
        self.image.write_bytes(littlefs_image.made(tree or {}, blocks))

    def put(self, tree: dict[str, bytes]) -> None:
        self.image.write_bytes(littlefs_image.added(self.image.read_bytes(), tree))

    def tree(self) -> dict[str, bytes]:
        """Every file in flash."""
        return littlefs_image.files(self.image.read_bytes())

    def run(self, script: str, *, heap: str = "2M", cut: int = -1, timeout: float = 60, env: dict[str, str] | None = None) -> Run:
        options = json.dumps({"cut": cut, "blocks": self.blocks})
        done = subprocess.run(
            [str(self.interpreter), "-X", f"heapsize={heap}", "-c", _BOOT],
            input=f"{options}\n{script}",
            capture_output=True,
            text=True,
            cwd=self.folder,
            timeout=timeout,
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder), **(env or {})},
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def lines(self, script: str) -> list[str]:
        """What the script prints."""
        done = self.run(script, timeout=110)
        return (done.out + done.err).splitlines()
