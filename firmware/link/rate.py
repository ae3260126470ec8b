"""Raises the rate of the line from the raw prompt, before anything else is sent. Without its proof in 0.4 s it goes back.

Must fit the receive ring (256 bytes when it is small), and says nothing. HIGH and HOME are the host's, as is the proof.
"""

import machine, select, sys, time  # one line: every byte counts


def rate(b):
    time.sleep_ms(5)  # the last byte must have left at the old rate
    try:
        machine.UART(0, baudrate=b)
    except OSError:
        pass  # some versions change the rate and then complain about a driver that a REPL port does not have


p = select.poll()
p.register(sys.stdin, 1)
rate(HIGH)
if not p.poll(400) or sys.stdin.read(8) != "Twinroot":
    rate(HOME)
