"""Raises the rate of the line from the raw prompt, before anything else is sent. Without its proof in 0.4 s it goes back.

Must fit the receive ring (256 bytes when it is small), so names are short: `r` sets the rate, and core.py sets the old one with it
again. Says nothing. HIGH and HOME are the host's, as is the proof, which is waited for byte by byte: a host may die in the middle of it.
"""

import umachine, uselect, sys, utime  # one line: every byte counts


def r(b):
    utime.sleep_ms(2)  # the last byte must have left at the old rate
    try:
        umachine.UART(0, baudrate=b)
    except OSError:
        0  # some versions change the rate and then complain about a driver that a REPL port does not have


p = uselect.poll()
p.register(sys.stdin, 1)
r(HIGH)
s = b""
while len(s) < 4 and p.poll(400):
    s += sys.stdin.buffer.read(1)
if s != b"Twin":
    r(HOME)
