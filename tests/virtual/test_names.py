"""What a program finds on the board is what it finds on an ESP32, but for what docs/virtual-board.md names."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.virtual.board_io import repl
from tests.virtual.esp32_names import MODULES, NAMES

ASK = """
for m in {names!r}:
    try: x = __import__(m.split(".")[0], None, None, ())
    except ImportError: print(repr((m, None))); continue
    for part in m.split(".")[1:]: x = getattr(x, part)
    print(repr((m, dir(x))))
"""
_PAGE = Path(__file__).parent.parent.parent / "docs" / "virtual-board.md"


def said_absent() -> set[str]:
    """The words of the list in docs: `machine.I2C`, or `btree` for a module."""
    lists = _PAGE.read_text("utf-8").partition("### Names that an ESP32 has")[2].partition("\n## ")[0].partition("\n- ")[2]
    return {word for word in lists.split("`")[1::2] if word not in ("requests",)}


def test_names_are_those_of_an_esp32_but_for_those_that_docs_name(virtual_board):
    link = repl(virtual_board.pty)
    asked = [*NAMES, *[name for name in MODULES.split() if name not in NAMES]]
    found = dict(
        ast.literal_eval(line) for at in range(0, len(asked), 12) for line in link.run(ASK.format(names=asked[at : at + 12])).splitlines()
    )
    link.close()
    absent = {name for name in MODULES.split() if found[name] is None}
    absent |= {f"{owner}.{name}" for owner, names in NAMES.items() for name in names.split() if name not in (found[owner] or ())}
    assert absent == said_absent()


def test_names_of_the_unix_port_are_gone(virtual_board):
    link = repl(virtual_board.pty)
    for name in ("termios", "ffi"):
        assert "ImportError" in link.error(f"import {name}")
    for name in ("os.system", "os.getenv", "vfs.VfsPosix", "sys.executable", "sys.atexit", "sys.stdout.flush", "micropython.mem_total"):
        module = name.partition(".")[0]
        assert "AttributeError" in link.error(f"import {module}\n{name}"), name
    link.close()
