"""Rates of the serial line, bits per second: which are tried for what, in this order."""

from __future__ import annotations

HOME = 115_200  # of the ROM loader and of MicroPython's prompt; no change of rate is needed for it

# What UART bridges take, best first: CP2104, CP2102N and FT232R go to 2 M and beyond, CP2102 to 921600.
_RAISED = (2_000_000, 1_500_000, 921_600, 460_800, 230_400)

TRANSFER = _RAISED  # a transfer from the prompt, before it falls back to the rate that the prompt has
LEFT_OVER = _RAISED  # where a host that died in a transfer may have left the board
FLASH = (*_RAISED, HOME)  # esptool in the ROM loader
SET_BY_PROGRAMS = (9_600, 57_600, 38_400, 19_200)  # that a program may have given the UART of the prompt, the likely ones first
