"""Which route a pass begins with, and what is remembered of it. Pure: no clock, no socket, no file. What follows a failed attempt is
in fallback.py; the host runs both files for its model tests and for `twinroot migrate plan`.

A route is an index, 0 is the preferred one. The route that worked last is tried first, until `ret` seconds have passed; then the
preferred route gets its chance again."""

RETURN_S = 3600  # how long another route may come before the preferred one


class Policy:
    fails = 0  # passes in a row without a session that has proven itself
    quiet = None  # unix seconds of the first of the passes in a row in which the route that worked last was silent

    def __init__(self, n, last=0, since=0, ret=RETURN_S, standing=b"", silence="upward"):
        """`standing`: of each route's roots, 2 current, 1 cross-signed, 0 distrusted; of one that is not there nothing is said.
        `silence`: may a silent route be left: "never", "upward" (for better roots), "any"."""
        self.n = n
        self.last = last if last < n else 0
        self.since = since  # unix seconds of the last time that the preferred route was given up
        self.ret = ret
        self.standing = standing
        self.silence = silence
        self.any = False

    def due(self, now):
        """True when another route is in use and the preferred one should have its chance."""
        return self.last and not 0 <= now - self.since < self.ret

    def begin(self, now, prefer=False):
        """First route of a pass that begins at `now` (unix seconds)."""
        self.now = now
        self.seen = self.tried = 0
        self.any = self.asked = False
        self.i = 0 if prefer or self.due(now) else self.last
        return self.i

    def good(self, now):
        """The attempt connected. True when the route differs from the one before: worth a flash write. It counts as a failed pass
        until its session has proven itself."""
        self.fails += 1
        self.quiet = None
        changed = self.i != self.last
        if self.i and (changed or self.tried & 1):
            self.since = now
        self.last = self.i
        return changed
