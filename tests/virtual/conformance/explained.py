"""What cannot pass on a board that is not there, and why."""

from __future__ import annotations

_NO_CPU = "runs the chip's machine code from RAM, which a board without such a CPU cannot"
# A pseudo-terminal has no such lines. Where esptool.cfg gives the server a reset sequence it can work through RFC 2217, but each setting
# then waits in two clients, longer than esptool waits for the answer to its first word.
_SERVER = "esptool's own RFC 2217 server sets DTR and RTS with ioctl, so it needs a local serial device behind it"
# As it would on a chip behind RFC 2217.
_WATCHDOG = "esptool starts the watchdog, then locks it: pyserial's client takes 0.2 s for that, and the chip has restarted meanwhile"

EXPLAINED = {
    "TestLoadRAM::test_load_ram": _NO_CPU,
    "TestLoadRAM::test_load_ram_hex": _NO_CPU,
    "TestReset::test_watchdog_reset": _WATCHDOG,
    "TestVirtualPort::test_auto_detect_virtual_port": _SERVER,
    "TestVirtualPort::test_highspeed_flash_virtual_port": _SERVER,
}
