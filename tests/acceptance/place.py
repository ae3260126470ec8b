"""A user's place: a folder with a product, an empty home, the command as an installed program, and a witness of what it leaves behind."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provisioning.virtual import VirtualBoard
from tests.support.product_files import PRODUCT, write_identity, write_product

DEVICE = "ws-0001"
TWINROOT = Path(sys.executable).with_name("twinroot")
TIMEOUT = 60.0  # seconds; the longest of these commands waits 8 s for a silent board

# contract.md, "Commands": what every command with a board reports.
ERROR_FIELDS = frozenset({"outcome", "code", "message", "hint"})
REPORT_FIELDS = ERROR_FIELDS | {
    *("mac", "chip", "board", "product", "device", "generation", "previous", "transport"),
    *("files", "written", "wire", "steps", "selftest"),
}


@dataclass(frozen=True)
class Run:
    """One command that ended."""

    exit_code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """Standard output as the one JSON object that --json promises, and nothing else."""
        found = json.loads(self.out)
        assert isinstance(found, dict), self.out
        assert self.out.count("\n") == 1 and self.out.endswith("\n"), f"more than one line: {self.out!r}"
        return found

    def complaint(self) -> tuple[str, str]:
        """The sentence and the next step: these two lines on standard error, and nothing but how long a silent board was waited for."""
        assert "Traceback" not in self.err + self.out, self.err
        lines = [line for line in self.err.splitlines() if not line.startswith("No sign of life from the board on ")]
        assert len(lines) == 2, f"expected a sentence and a next step, found: {self.err!r}"
        assert lines[0].startswith("twinroot: ") and lines[1].startswith("  next: "), self.err
        return lines[0].removeprefix("twinroot: "), lines[1].removeprefix("  next: ")


@dataclass
class Place:
    """`folder` holds product.yaml and devices/; `home` is empty, as is `work`, the current folder."""

    root: Path
    text: str = PRODUCT.replace("esp32-generic", "virtual-esp32")
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder, self.home, self.work, self.temporary = (self.root / name for name in ("product", "home", "work", "tmp"))
        for path in (self.folder, self.home, self.work, self.temporary):
            path.mkdir()
        write_product(self.folder, self.text)
        write_identity(self.folder, DEVICE)

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def product(self) -> Path:
        return self.folder / "product.yaml"

    def change(self, old: str, new: str) -> None:
        """Edit the product file."""
        text = self.product.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in the product file"
        self.product.write_text(text.replace(old, new), encoding="utf-8")

    def add(self, lines: str) -> None:
        with self.product.open("a", encoding="utf-8") as file:
            file.write(lines)

    def other_key(self) -> Path:
        """The private key of another device."""
        elsewhere = self.temporary / "other"
        elsewhere.mkdir()
        return write_identity(elsewhere, "ws-0002")[1]

    def surroundings(self, **more: str) -> dict[str, str]:
        """A minimal environment: nothing of this user's own is read, nothing is written there."""
        named = {"HOME": self.home, "TMPDIR": self.temporary, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
        named["TWINROOT_LOGS"] = self.logs  # what a run on a board leaves behind whatever it ends in
        return {**{key: str(value) for key, value in named.items()}, **self.environment, **more}

    def run(self, *arguments: str | Path, cwd: Path | None = None, umask: int = -1, **more: str) -> Run:
        """Run `twinroot ARGUMENTS` as a process of its own, without a terminal."""
        made = subprocess.run(
            [str(TWINROOT), *map(str, arguments)],
            cwd=cwd or self.work,
            env=self.surroundings(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=TIMEOUT,
            umask=umask,
            check=False,
        )
        return Run(made.returncode, made.stdout, made.stderr)

    def files(self) -> dict[str, str]:
        """Every file and folder below `root` with what it holds: compared before and after.

        The user's cache is left out: what it holds is made from the program, and from products and pairs that passed, and may be deleted
        at any time. So are the logs of runs on boards, which stay whatever those end in.
        """
        found = {}
        left_out = {self.home / ".cache", self.logs}
        for path in sorted(self.root.rglob("*")):
            if left_out & {path, *path.parents}:
                continue
            name = path.relative_to(self.root).as_posix()
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else "folder"
        return found


def flash_state(board: VirtualBoard) -> tuple[int, int, str]:
    """Programs, erases, and the SHA-256 of the whole flash: equal before and after means that nothing was written."""
    counters = board.counters()
    image = (Path(os.fspath(board.state)) / "flash.bin").read_bytes()
    return int(counters["flash_programs"]), int(counters["flash_erases"]), hashlib.sha256(image).hexdigest()
