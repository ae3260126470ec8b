# mypy: ignore-errors
# ruff: noqa
# machine.UART: number 0 carries the REPL and has a rate, the others are wired to nothing.
import _hardware
from utime import sleep_us as _sleep_us, ticks_add as _ticks_add, ticks_diff as _ticks_diff, ticks_us as _ticks_us


class UART:
    INV_RX, INV_TX, INV_RTS, INV_CTS, RTS, CTS = 4, 32, 64, 8, 1, 2
    IRQ_RXIDLE, IRQ_BREAK, IRQ_RX = 4096, 128, 1

    def __init__(self, id, *args, **kwargs):
        if id not in (0, 1, 2):
            raise ValueError("UART(%d) does not exist" % id)
        self._id = id
        self._baud, self._sent = 115200, 0
        self.init(*args, **kwargs)

    def init(self, baudrate=None, bits=None, parity=None, stop=None, **others):
        if baudrate is not None:
            self._baud = baudrate
            if self._id == 0:
                _hardware.call(_hardware.BAUD, baudrate)

    def deinit(self):
        pass

    def any(self):
        if self._id:
            return 0
        import select, sys

        poll = select.poll()
        poll.register(sys.stdin, 1)
        return 1 if poll.poll(0) else 0

    def read(self, n=None):
        import sys

        got = b""
        while self._id == 0 and (n is None or len(got) < n) and self.any():
            got += sys.stdin.buffer.read(1)
        return got or None

    def readinto(self, buf, n=None):
        got = self.read(len(buf) if n is None else n)
        if got:
            buf[: len(got)] = got
            return len(got)

    def readline(self):
        import sys

        got = b""
        while self._id == 0 and not got.endswith(b"\n") and self.any():
            got += sys.stdin.buffer.read(1)
        return got or None

    def write(self, buf):
        import sys

        if self._id == 0:
            sys.stdout.buffer.write(buf)
        else:
            # Nobody is at the other end, and the bytes take their time all the same: ten bits each.
            self._sent = _ticks_add(_ticks_us() + max(0, self._left()), len(buf) * 10000000 // self._baud)
        return len(buf)

    def _left(self):
        return _ticks_diff(self._sent, _ticks_us()) if self._sent else 0

    def flush(self):
        if self._id == 0:
            _hardware.call(_hardware.BAUD, 0)
        else:
            _sleep_us(max(0, self._left()))
            self._sent = 0

    def txdone(self):
        return self._left() <= 0

    def sendbreak(self):
        pass

    def irq(self, handler=None, trigger=0, hard=False):
        pass

    def __repr__(self):
        return (
            "UART(%d, baudrate=%d, bits=8, parity=None, stop=1, tx=1, rx=3, rts=-1, cts=-1, txbuf=256, rxbuf=256, timeout=0, timeout_char=0)"
            % (self._id, self._baud)
        )
