"""Each test that does not pass on a virtual board, and why."""

from __future__ import annotations

from dataclasses import dataclass

Version = tuple[int, int]


@dataclass(frozen=True)
class Row:
    """`since`, `before`: versions of the checkout for which it holds. `always=False`: it may pass as well, on a quiet computer."""

    why: str
    since: Version = (0, 0)
    before: Version = (99, 0)
    always: bool = True


# On an ESP32 as well: tried with MicroPython 1.24.1 on an emulated ESP32-C3.
_LITTLEFS = Row("littlefs writes to a file that is open for reading and reads one that is open for writing, on an ESP32 as well")
_NO_FILENO = Row("an ESP32's standard streams have no fileno()")
_BY_REPL = Row("a test that comes over the REPL has no file name, on an ESP32 as well")
_64_BIT = Row("the board's MicroPython is a 64-bit build")
_SHIM = Row("esp32 is written in Python here, which takes memory for each call: under heap_lock() it raises MemoryError")
_POLL = Row("the board's select.poll() takes numbers of descriptors, an ESP32's refuses them")
_TIMED = Row("measures times on a computer that does other things beside: to 0.4 ms, or against a run of CPython", always=False)
# The board runs 1.29.0-preview.
_NEWER_TEST = Row("is for a MicroPython that is newer than the board's", since=(1, 29))
_OLDER_TEST = Row("is for a MicroPython before 1.29: int.to_bytes() of a negative number wants signed=True there", before=(1, 29))

EXPLAINED = {
    "basics/builtin_pow3.py": _NEWER_TEST,
    "basics/builtin_pow3_intbig.py": _NEWER_TEST,
    "basics/int_bytes.py": _OLDER_TEST,
    "basics/int_bytes_int64.py": _OLDER_TEST,
    "basics/int_bytes_intbig.py": _OLDER_TEST,
    "basics/memoryview_slice_size.py": _64_BIT,
    "extmod/asyncio_basic.py": _TIMED,
    "extmod/asyncio_fair.py": _TIMED,
    "extmod/machine_uart_tx.py": _TIMED,
    "extmod/select_poll_fd.py": _POLL,
    "import/import_file.py": _BY_REPL,
    "io/argv.py": _BY_REPL,
    "io/file1.py": _LITTLEFS,
    "io/file_readinto.py": _LITTLEFS,
    "io/file_readline.py": _LITTLEFS,
    "io/file_stdio.py": _NO_FILENO,
    "io/file_stdio2.py": _NO_FILENO,
    "micropython/schedule_kbd_intr.py": _NEWER_TEST,
    "micropython/viper_misc_intbig.py": _64_BIT,
    "micropython/viper_unop.py": _NEWER_TEST,
    "mpremote/test_unicode.sh": _NEWER_TEST,
    "ports/esp32/check_err_str.py": _SHIM,
    "unicode/ascii.py": _NEWER_TEST,
    "unicode/bytes_decode_encoding.py": _NEWER_TEST,
    "unicode/str_center.py": _NEWER_TEST,
    "unicode/unicode_char_format.py": _NEWER_TEST,
    "unicode/unicode_char_format_fstring.py": _NEWER_TEST,
}


def rows(version: Version) -> dict[str, Row]:
    """Those that hold for a checkout of this version."""
    return {test: row for test, row in EXPLAINED.items() if row.since <= version < row.before}
