"""The hostile-server table of tests/device on a board: virtual, or real with --port and --cloud-host."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

import pytest

from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from tests.device import matrix
from tests.hil.bench import Bench
from tests.hil.options import Wanted

_PIECE = 1536  # bytes of a file in one command


@dataclass
class Device:
    """A bench as matrix.py wants it: files over the raw REPL, into the folders that Bench.wipe empties."""

    bench: Bench

    def put(self, tree: dict[str, bytes]) -> None:
        with open_port(self.bench.port) as wire:
            repl = RawRepl(wire)
            repl.enter()
            for folder in sorted({str(p) for path in tree for p in Path(path).parents if str(p) != "/"}):
                repl.run(f"import os\ntry: os.mkdir({folder!r})\nexcept OSError: pass")
            repl.run("from binascii import a2b_base64 as _b")
            for path, data in tree.items():
                repl.run(f"_f=open({path!r},'wb')")
                for at in range(0, len(data), _PIECE):
                    repl.run(f"_f.write(_b({base64.b64encode(data[at : at + _PIECE])!r}))")
                repl.run("_f.close()")
            repl.soft_reset()
            repl.leave()

    def lines(self, script: str) -> list[str]:
        with open_port(self.bench.port) as wire:
            repl = RawRepl(wire)
            repl.enter()
            return repl.run(script, 300).decode(errors="replace").splitlines()


PLACES = [
    ("right", "preferred"),
    pytest.param("right", "last good", marks=pytest.mark.long),
    pytest.param("2000", "preferred", marks=pytest.mark.long),
    pytest.param("2040", "last good", marks=pytest.mark.long),
]


@pytest.mark.parametrize(("clock", "place"), PLACES)
def test_table(bench: Bench, asked: Wanted, tmp_path: Path, clock: str, place: str) -> None:
    if asked.real and not asked.cloud_host:
        pytest.skip("a real board needs --cloud-host ADDRESS, an address of this computer in the board's network")
    cases = matrix.run(Device(bench), tmp_path, clock, place, "rsa", host=asked.cloud_host or "127.0.0.1")
    print(matrix.show(cases))
    wrong = [f"{c.scenario.name}: expected {c.expected}, got {c.got}. {c.detail}" for c in cases if not c.ok]
    assert not wrong, "\n".join(wrong)
