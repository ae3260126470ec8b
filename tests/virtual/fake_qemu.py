"""A stand-in for QEMU with Espressif's machines, for tests where none is installed: its command line, serial port, questions.

It emulates no chip. What it knows is in fake.json beside it: `machines`, `devices`, `start` (a sentence with which it ends at once). Its
"chip" says what the ROM says for the strapping and the flash that it was started with, then takes lines: `die SENTENCE` ends the process,
`write ADDRESS HEX` changes the flash, `mac` reads the eFuses, `pid` tells the process, `reset` starts the chip again; the rest is echoed.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path


def value_of(option: str, arguments: list[str]) -> list[str]:
    return [arguments[i + 1] for i, word in enumerate(arguments[:-1]) if word == option]


def fields(text: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in text.split(","))


def answer(arguments: list[str], known: dict) -> int:
    """The questions; 0 or the exit code, -1 when it is none."""
    if value_of("-machine", arguments) == ["help"]:
        print("Supported machines are:\n" + "\n".join(f"{name:<20} a machine" for name in [*known["machines"], "none"]))
        return 0
    asked = value_of("-device", arguments)
    if asked:
        device = asked[0].removesuffix(",help")
        found = device in known["devices"]
        print(f"{device} options:\n  mac=<str>" if found else f"-device {asked[0]}: Device '{device}' not found")
        return 0 if found else 1
    return -1


class Chip:
    def __init__(self, arguments: list[str]) -> None:
        drives = [fields(text) for text in value_of("-drive", arguments)]
        settings = [fields(text) for text in value_of("-global", arguments)]
        self.flash = next(drive["file"] for drive in drives if drive["if"] == "mtd")
        self.efuse = next(drive["file"] for drive in drives if drive.get("id") == "efuse")
        strap = next(setting for setting in settings if setting["property"] == "strap_mode")
        self.esp32 = strap["driver"] == "esp32.gpio"
        self.strap = int(strap["value"], 16)
        self.port = socket.socket(fileno=int(fields(value_of("-chardev", arguments)[0].partition(",")[2])["fd"]))

    def say(self, text: str) -> None:
        self.port.sendall(text.encode() + b"\r\n")

    def boot(self) -> None:
        loader = self.strap in ((0x0F,) if self.esp32 else (0x02,))
        mode = ("DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2)" if self.esp32 else "DOWNLOAD(USB/UART0)") if loader else "SPI_FAST_FLASH_BOOT"
        self.say(f"rst:0x1 (POWERON_RESET),boot:0x{self.strap:x} ({mode})")
        if loader:
            self.say("waiting for download")
            return
        with open(self.flash, "rb") as file:
            file.seek(0x1000 if self.esp32 else 0)
            begin = file.read(4)
        if begin[0] != 0xE9:
            self.say(f"invalid header: 0x{int.from_bytes(begin, 'little'):08x}")
        self.say(">>> ")

    def obey(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "die":
            sys.exit(rest)
        if word == "reset":
            self.boot()
        elif word == "pid":
            self.say(f"pid {os.getpid()}")
        elif word == "mac":
            self.say(f"efuse {Path(self.efuse).read_bytes().hex()}")
        elif word == "write":
            address, data = rest.split()
            with open(self.flash, "r+b") as file:
                file.seek(int(address, 16))
                file.write(bytes.fromhex(data))
            self.say("written")
        else:
            self.say(f"echo {line}")

    def run(self) -> None:
        self.boot()
        kept = b""
        while data := self.port.recv(4096):
            *lines, kept = (kept + data).split(b"\n")
            for line in lines:
                self.obey(line.decode("latin-1"))


def main() -> int:
    known = json.loads(Path(__file__).with_name("fake.json").read_text())
    arguments = sys.argv[1:]
    code = answer(arguments, known)
    if code >= 0:
        return code
    if known.get("start"):
        sys.exit(known["start"])
    Chip(arguments).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
