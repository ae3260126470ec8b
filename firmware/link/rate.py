"""Raises the rate of the line, for the streaming transport. Runs after core.py; the call is the last line that the host adds."""

import machine
import time


def rate(value):
    time.sleep_ms(5)  # the last byte must have left at the old rate
    try:
        machine.UART(0, baudrate=value)
    except OSError:
        pass  # some versions change the rate and then complain about a driver that a REPL port does not have


def climb(high, home):
    """To `high`. The host's next call proves that it holds, and makes `patience` long again; without one, all ends at `home`."""
    global patience, leave

    def leave():
        rate(home)

    patience = 500
    rate(high)
