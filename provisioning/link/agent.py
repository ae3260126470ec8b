"""The code that is sent to a board: firmware/link, made small, and packed so that raw paste carries it nearly as bytes."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from provisioning import result_cache
from provisioning.link import rates
from provisioning.resources import folder

FILES = ("core", "rate", "hello", "write", "first", "sets", "store", "extra")  # they run in one name space
ALONE = ("held", "who", "left", "beats", "head", "files", "tree", "marks", "runs")  # each of these is complete
PLAIN = frozenset(["rate", *ALONE])  # what is sent as it is, not deflated

_MAKERS = (Path(__file__), Path(__file__).with_name("minify.py"))
_HOMES = (None, rates.HOME)  # the receivers that are kept ready; of any other rate they are made when they are asked for

# Names that the host uses: functions that it calls, and what it defines itself.
KEEP = frozenset(
    [
        *("hello", "prepare", "begin", "target", "settle", "commit", "tidy", "look", "audit", "lies", "back", "take", "say", "number"),
        *("proved", "got", "files"),
        *("stream", "leave", "beat", "r", "p", "s", "HIGH", "HOME"),
        *("WANTED", "PATHS", "who", "head", "lines", "sha", "remove", "m", "of", "runs"),
    ]
)

# Bytes that must not stand inside the literal: control-A to control-E are the raw REPL's, NUL and software flow control may get lost on
# the way, an interpreter's lexer or terminal rewrites CR and LF, a quote and a backslash are the literal's own.
_ESCAPED = {byte: b"\\%o" % byte for byte in (*range(6), 0x11, 0x13)} | {
    0x0A: b"\\n",
    0x0D: b"\\r",
    0x27: b"\\'",
    0x5C: b"\\\\",
}
_DIGITS = frozenset(b"01234567")


def literal(data: bytes) -> bytes:
    """`data` as the source of a bytes literal that keeps almost every byte as it is."""
    out = bytearray(b"b'")
    for index, byte in enumerate(data):
        text = _ESCAPED.get(byte)
        if text is None:
            out.append(byte)
        elif byte < 0x20 and text[1:].isdigit() and data[index + 1 : index + 2] and data[index + 1] in _DIGITS:
            out += b"\\x%02x" % byte  # an octal escape would take the digit in
        else:
            out += text
    return bytes(out + b"'")


def packed(source: str) -> bytes:
    """A program that unpacks `source` on the board and runs it; needs the deflate module there (MicroPython 1.21)."""
    made = []
    for level, memory in itertools.product(range(4, 10), range(1, 10)):  # what is shortest as a literal is luck
        squeeze = zlib.compressobj(level, zlib.DEFLATED, 12, memory)
        made.append(literal(squeeze.compress(source.encode()) + squeeze.flush()))
    return b"import uio,deflate\nexec(deflate.DeflateIO(uio.BytesIO(" + min(made, key=len) + b")).read())"


@lru_cache(maxsize=1)
def _all() -> dict[str, str]:
    """Every file of firmware/link as it is sent, and the receivers: those that run in one name space share a table of short names.

    Kept in the user's cache folder: making it takes a quarter of a second, of every command.
    """
    base = folder("firmware") / "link"
    sources = {name: (base / f"{name}.py").read_bytes() for name in (*FILES, *ALONE)}
    key = result_cache.key_of(*(maker.read_bytes() for maker in _MAKERS), *sources.values())
    slot = f"device-code-{key[:32]}.json"  # one for each version: checkouts side by side do not take it from each other
    found = result_cache.read(slot, key)
    if found is None:
        from provisioning.link.minify import Minifier  # costs more than everything else here: only when nothing is kept

        texts = {name: source.decode() for name, source in sources.items()}
        together = Minifier({name: texts[name] for name in FILES}, KEEP)
        found = {
            name: (together if name in FILES else Minifier({name: text}, KEEP)).small(name, folded=name in PLAIN)
            for name, text in texts.items()
        }
        found |= {f"core for {home}": _receiver(found["core"], home).decode("latin-1") for home in _HOMES}
        result_cache.write(slot, key, found)
    return dict(found)


def small(name: str) -> str:
    """firmware/link/<name>.py as it is sent."""
    return _all()[name]


def ready() -> None:
    """Make all programs small now, so that no board waits for it later."""
    _all()


def core(home_baud: int | None = None) -> bytes:
    """The receiver of the streaming transport, as a program for raw paste. Its first message is the number of window bits.

    `home_baud`: rate to go back to at its end, after `raised`; None to leave the rate alone.
    """
    ready_made = _all().get(f"core for {home_baud}")
    return ready_made.encode("latin-1") if ready_made else _receiver(small("core"), home_baud)


def _receiver(core_small: str, home_baud: int | None) -> bytes:
    # Before the prompt comes at the old rate the host must have heard that the end was taken, and changed its own.
    head = f"def leave():\n p.poll(3)\n r({home_baud})\n" if home_baud else "leave=gc.collect\n"
    return packed("import gc\n" + head + core_small)


def raised(high: int, home: int) -> bytes:
    """The program that raises the rate of the line; what proves it is PROOF."""
    return small("rate").replace("HIGH", str(high)).replace("HOME", str(home)).strip().encode()


PROOF = b"Twin"


def held(wanted: str, paths: Iterable[str | None]) -> str:
    """The program that asks whether the board holds the set whose SHA-256 begins with `wanted`, and what the files at `paths`, which that
    does not name, hash to; None for the loader, wherever it lies."""
    listed = ",".join("w.__file__" if path is None else repr(path) for path in paths)
    return small("held").replace("WANTED", repr(wanted)).replace("PATHS", f"[{listed}]")
