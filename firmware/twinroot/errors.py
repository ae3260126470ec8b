"""What can go wrong, in the words of the person who has to act on it. Every error is an OSError, so that reconnect
loops which catch only that (umqtt.robust, mqtt_as) survive it."""


class TwinrootError(OSError):
    """`kind`: one word. `route`: name of the route tried, or None. `issuer`: who signed the top of the chain that the
    server sent, or None. `cause`: the number or the text that the TLS library or the socket gave."""

    kind = "network"
    todo = ""
    route = None
    issuer = None

    def __init__(self, cause, what=""):
        super().__init__(cause, what)
        self.cause = cause

    def __str__(self):
        t = "%s: %s (%s). %s" % (self.route or "-", self.args[1] or self.kind, self.cause, self.todo)
        return t + " Server's chain wants: " + self.issuer if self.issuer else t


class TrustError(TwinrootError):
    kind = "trust"
    todo = "None of this route's roots signed it: update the set, or look for a portal in between"


class ClockError(TwinrootError):
    kind = "clock"
    todo = "Set the clock: check time.servers and the RTC"


class HostnameError(TwinrootError):
    kind = "hostname"
    todo = "Another server answers: check endpoint and DNS"


class NetworkError(TwinrootError):
    todo = "Check Wi-Fi, DNS and port 8883; it is tried again"


class MemoryLow(TwinrootError):
    kind = "memory"
    todo = "TLS needs about 45 KB outside the heap: close other sessions"


class SetError(TwinrootError):
    kind = "set"
    todo = "Write the set again: twinroot update"


class RefusedError(TwinrootError):
    kind = "refused"
    todo = "Check that the certificate is active and its policy allows this client id"


_KINDS = {c.kind: c for c in (TrustError, ClockError, HostnameError, NetworkError, MemoryLow, SetError, RefusedError)}


def make(kind, e, route=None, issuer=None, what=""):
    """The error of that kind for the exception, or the sentence, `e`."""
    if isinstance(e, Exception):
        a = e.args
        if isinstance(e, OSError) and len(a) > 1:
            what = what or str(a[1])
        e = a[0] if a else type(e).__name__
        if isinstance(e, str):
            e = e.strip().replace("\n", "; ")
    r = _KINDS[kind](e, what)
    r.route = route
    r.issuer = issuer
    return r
