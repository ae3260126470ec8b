"""Compiles hooks.c and writes machine_code.py: for those who change hooks.c; needs gcc and binutils."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

_HERE = Path(__file__).parent
_FLAGS = ["-Os", "-fPIC", "-ffreestanding", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fcf-protection=none",
          "-fno-builtin", "-fno-tree-loop-distribute-patterns", "-mno-sse"]  # fmt: skip
_LAYOUT = "SECTIONS { .text 0 : { *(.text*) } d = 0x2000; }"


def compile_hooks(source: Path) -> tuple[bytes, dict[str, int]]:
    """The code, to be placed two pages before its data, and the offset of each function."""
    with tempfile.TemporaryDirectory() as work:
        base = Path(work)
        (base / "layout.ld").write_text(_LAYOUT)
        for command in (
            ["gcc", *_FLAGS, "-c", str(source), "-o", "hooks.o"],
            ["ld", "-T", "layout.ld", "hooks.o", "-o", "hooks.elf"],
            ["objcopy", "-O", "binary", "-j", ".text", "hooks.elf", "hooks.bin"],
        ):
            subprocess.run(command, cwd=base, check=True)
        symbols = subprocess.run(["nm", "hooks.elf"], cwd=base, check=True, capture_output=True, text=True).stdout
        entries = {name: int(at, 16) for at, _, name in map(str.split, symbols.splitlines()) if name.startswith("h_")}
        return (base / "hooks.bin").read_bytes(), dict(sorted(entries.items(), key=lambda item: item[1]))


def main() -> int:
    code, entries = compile_hooks(_HERE / "hooks.c")
    lines = "\n".join(f'    "{line}"' for line in textwrap.wrap(code.hex(), 120))
    table = "\n".join(f'    "{name}": 0x{at:03X},' for name, at in entries.items())
    (_HERE / "machine_code.py").write_text(
        f'"""hooks.c compiled for x86-64. Written by build_hooks.py; the source with its comments is hooks.c."""\n\n'
        f"from __future__ import annotations\n\nCODE = bytes.fromhex(\n{lines}\n)\n\n"
        f"ENTRY = {{  # offset of each function\n{table}\n}}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
