"""`python only_port.py PORT MPREMOTE …`: mpremote of a checkout on a computer whose only serial port is PORT, a board with a USB adapter.

Its suite never names a port, because a board on a desk is found by itself; a virtual board is in no list of the operating system's.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import serial.tools.list_ports
from serial.tools.list_ports_common import ListPortInfo


def main() -> None:
    port, script = sys.argv[1:3]
    only = ListPortInfo(port, skip_link_detection=True)
    only.vid, only.pid, only.serial_number = 0x10C4, 0xEA60, "0001"
    serial.tools.list_ports.comports = lambda include_links=False: [only]
    sys.argv[:3] = [script]
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")


main()
