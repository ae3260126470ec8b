"""Takes everything of the host away from the interpreter's process, before any code of the user runs in it.

Root: an empty directory as root, then an unprivileged user. Otherwise: Landlock without a single rule. Both: no new
privileges, a seccomp filter without new processes, signals to others or local sockets, no file may grow, no core files.
The network stays: a board has Wi-Fi. Constants: linux/landlock.h, linux/seccomp.h, linux/audit.h, linux/prctl.h.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import tempfile
from pathlib import Path

from provisioning.errors import StationError

NOBODY = 65534
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446
_LANDLOCK_CREATE_RULESET_VERSION = 1
_LANDLOCK_FS_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # ABI version: number of file-system access rights; 5 and later have 16
_SECCOMP_MODE_FILTER = 2
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_EPERM, _ENOSYS = 1, 38
_AUDIT_ARCH_X86_64 = 0xC000003E

# x86-64 system calls that a board has no business with: number -> errno it gets
_REFUSED = {
    57: _EPERM,  # fork
    58: _EPERM,  # vfork
    59: _EPERM,  # execve
    322: _EPERM,  # execveat
    435: _ENOSYS,  # clone3: libc then uses clone, whose flags the filter can see
    62: _EPERM,  # kill
    129: _EPERM,  # rt_sigqueueinfo
    101: _EPERM,  # ptrace
    310: _EPERM,  # process_vm_readv
    311: _EPERM,  # process_vm_writev
    424: _EPERM,  # pidfd_send_signal
    434: _EPERM,  # pidfd_open
    438: _EPERM,  # pidfd_getfd
    165: _EPERM,  # mount
    166: _EPERM,  # umount2
    161: _EPERM,  # chroot
    272: _EPERM,  # unshare
    308: _EPERM,  # setns
    321: _EPERM,  # bpf
    298: _EPERM,  # perf_event_open
    425: _ENOSYS,  # io_uring_setup
    29: _EPERM,  # shmget
}
_X32_BIT = 0x40000000  # the same calls under other numbers
_CLONE, _CLONE_THREAD = 56, 0x00010000
_SOCKET, _AF_UNIX = 41, 1

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """SIGKILL to this process when the hardware process goes: that is a power cut. Exits at once when it has gone already."""
    _libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def check() -> str:
    """How this process could jail a child: "chroot" or "landlock". Raises StationError when neither works here."""
    if os.geteuid() == 0:
        return "chroot"
    if _landlock_abi() >= 1:
        return "landlock"
    raise StationError(
        "no-jail",
        "The virtual board cannot lock its interpreter away from this computer's files: not root, and no Landlock here",
        "Use Linux 5.13 or later with Landlock enabled, or start it as root: it gives root up before any board code runs.",
    )


def make_empty_directory() -> Path:
    """An empty directory, readable by all and writable by none, for the jailed processes to live in."""
    directory = Path(tempfile.mkdtemp(prefix="virtual-board-"))
    directory.chmod(0o555)
    return directory


def enter(empty: Path, keep: tuple[int, ...]) -> None:
    """Locks the calling process in. Descriptors other than 0, 1, 2 and `keep` are closed; there is no way back.

    Raises OSError when a step fails: the caller must end the process then.
    """
    _close_others(keep)
    os.umask(0o077)
    os.chdir(empty)
    if os.geteuid() == 0:
        os.chroot(".")
        os.chdir("/")
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if _landlock_abi() >= 1:
        _landlock()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if not _seccomp():
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _close_others(keep: tuple[int, ...]) -> None:
    low = 3
    for fd in sorted(keep):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, 65536)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def _landlock_abi() -> int:
    return int(_libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_CREATE_RULESET_VERSION))


def _landlock() -> None:
    """A ruleset that handles every file-system right and allows none."""
    rights = (1 << _LANDLOCK_FS_RIGHTS.get(_landlock_abi(), 16)) - 1
    attributes = struct.pack("<Q", rights)
    ruleset = _libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    if _libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0) != 0:
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    os.close(ruleset)


def _seccomp() -> bool:
    """Installs the filter. False when this kernel has none."""
    program = _filter()
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    return bool(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, head, 0, 0) == 0)


def _filter() -> bytes:
    """Classic BPF over struct seccomp_data {int nr; u32 arch; u64 ip; u64 args[6];}: one test and one return per call."""
    load, equal, at_least, anybit, ret = 0x20, 0x15, 0x35, 0x45, 0x06

    def op(code: int, jump_true: int, jump_false: int, k: int) -> bytes:
        return struct.pack("<HBBI", code, jump_true, jump_false, k)

    def errno(number: int) -> bytes:
        return op(ret, 0, 0, 0x00050000 | number)

    program = [op(load, 0, 0, 4), op(equal, 1, 0, _AUDIT_ARCH_X86_64), op(ret, 0, 0, _KILL), op(load, 0, 0, 0)]
    program += [op(at_least, 0, 1, _X32_BIT), op(ret, 0, 0, _KILL)]
    for number, answer in _REFUSED.items():
        program += [op(equal, 0, 1, number), errno(answer)]
    # clone without CLONE_THREAD is a new process; threads are allowed (_thread works on an ESP32)
    program += [op(equal, 0, 3, _CLONE), op(load, 0, 0, 16), op(anybit, 1, 0, _CLONE_THREAD), errno(_EPERM), op(load, 0, 0, 0)]
    program += [op(equal, 0, 3, _SOCKET), op(load, 0, 0, 16), op(equal, 0, 1, _AF_UNIX), errno(_EPERM), op(ret, 0, 0, _ALLOW)]
    return b"".join(program)
