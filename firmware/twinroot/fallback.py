"""What follows a failed attempt: the next route of the pass, and the wait before the next pass. Pure, as policy.py; loaded with the
first failure.

1. What happens on the way home to the preferred route leads back to the one that worked last: nothing is given up by that.
2. Trust evidence against the route that worked last, in two handshakes (a captive portal looks like a dead root), opens every route.
3. Silence of that route, for a minute, opens those whose roots have a better standing: moving there takes a handshake that verifies, and
   nobody can forge one. `silence` in the set's policy may forbid that, or open every route.
4. Nothing else opens a route: clock, name, memory, a refusal say nothing about roots."""

CONFIRM = 2  # handshakes that must agree before a route is left
QUIET_S = 60  # how long a route is silent before another is tried
BASE_S = 1  # first back-off
CAP_S = 200  # longest back-off of two routes: with the time-outs of both, 40 s each, less than five minutes; each further route shortens it
EACH_S = 150  # what an attempt takes from the budget: 576 a day
BURST = 20  # attempts that may come together


def failed(p, kind):
    """Next route of the pass of the Policy `p` after an attempt failed, -1 to give up until the next pass."""
    p.seen += 1
    if kind == "trust" and p.seen < CONFIRM:
        return p.i
    if p.i == p.last:
        if kind == "trust":
            p.any = True
        elif kind != "network":
            return -1
        elif p.quiet is None:
            p.quiet = p.now
    p.seen = 0
    p.tried |= 1 << p.i
    for j in range(-1, p.n):
        if j < 0:
            j = p.last
        if not p.tried >> j & 1 and (j == p.last or p.any or silent(p) and _opens(p, j)):
            p.i = j
            return j
    return -1


def silent(p):
    """True when the route that worked last has been silent for long enough."""
    return p.quiet is not None and not 0 <= p.now - p.quiet < QUIET_S


def _opens(p, j):
    s = p.standing
    if p.silence != "upward":
        return p.silence == "any"
    return len(s) == p.n and s[j] > s[p.last]


def wait(fails, rnd, n=2):
    """Seconds until the next pass over `n` routes after `fails` in a row; `rnd` in 0..1 spreads a fleet over a quarter of the interval."""
    if not fails:
        return 0
    return min(max(40, CAP_S - 40 * max(0, n - 2)), BASE_S << min(fails - 1, 10)) * (3 + rnd) / 4
