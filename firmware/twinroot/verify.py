"""Why a chain was not accepted, for builds that give only the number -0x2700: from what the verify callback saw."""

import utime

from . import der


def within(v):
    """True when now lies within the contents `v` of a certificate's Validity (X.509 UTCTime or GeneralizedTime)."""
    t = "%04d%02d%02d%02d%02d%02d" % utime.gmtime()[:6]
    ends = []
    i = 0
    while i < len(v):
        s, e = der.tlv(v, i)
        text = str(v[s:e], "ascii")
        ends.append(text if v[i] == 0x18 else ("20" if text < "5" else "19") + text)
        i = e
    return ends[0] <= t <= ends[1]


def named(leaf, host):
    """True when a DNS name of the certificate `leaf` (subjectAltName) matches `host`; a star stands for one label."""
    i = leaf.find(b"\x06\x03\x55\x1d\x11\x04")  # OID 2.5.29.17, then the OCTET STRING; it is never critical here
    if i < 0:
        return False
    i, end = der.tlv(leaf, der.tlv(leaf, i + 5)[0])
    star = "*" + host[host.find(".") :]
    while i < end:
        s, e = der.tlv(leaf, i)
        if leaf[i] == 0x82 and str(leaf[s:e], "ascii").lower() in (host.lower(), star.lower()):
            return True
        i = e
    return False


def kind(seen, host):
    """ "clock", "hostname" or "trust", in the order of classify: trust is what is left. `seen`: digest and issuer of the
    top certificate, each certificate's validity, the leaf."""
    if len(seen) < 4:
        return "network"
    for v in seen[2:-1]:
        if not within(v):
            return "clock"
    return "trust" if named(seen[-1], host) else "hostname"
