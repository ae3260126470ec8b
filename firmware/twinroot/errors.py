"""What can go wrong, in the words of the person who has to act on it. Every error is an OSError, so that reconnect
loops which catch only that (umqtt.robust, mqtt_as) survive it. Loaded with the first failure, or the first `except`
that names a class; a class is made when it is first needed."""

# kind -> (name of the class, what to do)
HELP = {
    "trust": ("TrustError", "No root of this route signed that: a portal in between, or a set to update"),
    "clock": ("ClockError", "Set the clock: check time.servers and the RTC"),
    "hostname": ("HostnameError", "Another server answers: check endpoint and DNS"),
    "network": ("NetworkError", "Check Wi-Fi, DNS, port 8883; it is tried again"),
    "memory": ("MemoryLow", "TLS needs 45 KB outside the heap: close other sessions"),
    "set": ("SetError", "Write the set again: twinroot update"),
    "refused": ("RefusedError", "Check that the certificate is active and its policy allows this client id"),
}


class TwinrootError(OSError):
    """`args`: (number or text that the TLS library or the socket gave, what happened). `kind`: one word. `route`: name
    of the route tried, or None. `issuer`: who signed the top of the chain that the server sent, or None. `then`: what to do, where
    that is not what HELP says."""

    then = None

    def __str__(self):
        t = "%s (%s). %s" % (self.args[1] or self.kind, self.args[0], self.then or HELP[self.kind][1])
        if self.route:
            t = self.route + ": " + t
        return t + ". The chain was signed by: " + self.issuer if self.issuer else t


_made = {}


def named(name):
    """The error class of that name; AttributeError when there is none."""
    for kind in HELP:
        if HELP[kind][0] == name:
            return of(kind)
    if name == "TwinrootError":
        return TwinrootError
    raise AttributeError(name)


def of(kind):
    if kind not in _made:
        _made[kind] = type(HELP[kind][0], (TwinrootError,), {"kind": kind})
    return _made[kind]


def make(kind, e, route=None, issuer=None, what=""):
    """The error of that kind for the exception, or the sentence, `e`."""
    if isinstance(e, Exception):
        a = e.args
        if isinstance(e, OSError) and len(a) > 1:
            what = what or str(a[1])
        e = a[0] if a else type(e).__name__
        if isinstance(e, str):
            e = e.strip().replace("\n", "; ")
    r = of(kind)(e, what)
    r.route = route
    r.issuer = issuer
    return r
