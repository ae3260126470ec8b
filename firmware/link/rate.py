"""Raises the rate of the line from the raw prompt, before anything else is sent. Without its proof it goes back after 0.4 s of silence.

Must fit the receive ring (256 bytes when it is small), so names are short: `r` sets the rate, and core.py sets the old one with it
again. Says nothing. HIGH and HOME are the host's, as is the proof: the host repeats it, because what arrives while the chip sets up its
UART is lost, and a host may die in the middle of it. Nothing is listened to for ever: 999 bytes hold two hundred proofs.
"""

import umachine, uselect, sys  # one line: every byte counts

f = sys.stdin
p = uselect.poll()
p.register(f, 1)


def r(b):
    p.poll(2)  # the last byte must have left at the old rate
    try:
        umachine.UART(0, baudrate=b)
    except OSError:
        0  # some versions change the rate and then complain about a driver that a REPL port does not have


r(HIGH)
s = b""
while p.poll(400) and len(s) < 999:
    s += f.buffer.read(1)
    if b"Twin" in s:
        break
else:
    r(HOME)
