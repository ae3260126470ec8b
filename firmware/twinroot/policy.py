"""Which route to try next. Pure: no clock, no socket, no file; the host imports this same file for its model tests.

A route is an index, 0 is the preferred one. Only trust evidence moves on to another route, and only after a second
handshake has said the same (a captive portal looks like a dead root). The route that worked last is tried first,
until `ret` seconds have passed; then the preferred route gets its chance again.
"""

RETURN_S = 3600  # how long another route may come before the preferred one
CONFIRM = 2  # handshakes that must agree before a route is left
BASE_S = 1  # first back-off
CAP_S = 300  # longest back-off: some 12 to 24 passes an hour against a server that is down


class Policy:
    fails = 0  # passes in a row that ended without a connection

    def __init__(self, n, last=0, since=0, ret=RETURN_S):
        self.n = n
        self.last = last if last < n else 0
        self.since = since  # unix seconds of the last time that the preferred route was given up
        self.ret = ret
        self.i = 0
        self._seen = 0
        self._tried = 0

    def due(self, now):
        """True when another route is in use and the preferred one should have its chance."""
        return self.last != 0 and not 0 <= now - self.since < self.ret

    def begin(self, now):
        """First route of a pass."""
        self._seen = self._tried = 0
        self.i = 0 if self.due(now) else self.last
        return self.i

    def failed(self, kind):
        """Next route of this pass after an attempt failed, -1 to give up until the next pass."""
        if kind == "trust":
            self._seen += 1
            if self._seen < CONFIRM:
                return self.i
            self._seen = 0
            self._tried |= 1 << self.i
            for j in range(self.n):
                if not self._tried >> j & 1:
                    self.i = j
                    return j
        self.fails += 1
        return -1

    def good(self, now):
        """The attempt connected. True when the route differs from the one before: worth a flash write."""
        self.fails = 0
        changed = self.i != self.last
        if self.i and (changed or self._tried & 1):
            self.since = now
        self.last = self.i
        return changed

    def wait(self, rnd):
        """Seconds until the next pass; `rnd` in 0..1 spreads a fleet over half of the interval."""
        if not self.fails:
            return 0
        return min(CAP_S, BASE_S << min(self.fails - 1, 10)) * (1 + rnd) / 2
