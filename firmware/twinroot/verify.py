"""What a chain that was not accepted says: who signed its top and, for builds that give only the number -0x2700, why it was not. From
what the verify callback saw: the server wrote that, so nothing in it may raise more than IndexError. Loaded with the first failure of a
handshake."""

import utime


def tlv(b, i):
    """(start, end) of the contents of the element at `i`; of a certificate cut short the end may lie beyond."""
    n = b[i + 1]
    i += 2
    if n & 0x80:
        k = n & 0x7F
        n = 0
        while k:
            n = n << 8 | b[i]
            i += 1
            k -= 1
    return i, i + n


def fields(b):
    """Positions (start, end) of the contents of issuer and validity in the certificate `b`."""
    i = tlv(b, tlv(b, 0)[0])[0]
    if b[i] == 0xA0:  # version
        i = tlv(b, i)[1]
    i = tlv(b, tlv(b, i)[1])[1]  # serial number, signature algorithm
    s = tlv(b, i)
    return s, tlv(b, s[1])


def issuer(b):
    """Last attribute of the issuer's name, the common name in practice, as text of at most 40 characters; None when none can be read."""
    last = None
    try:
        i, end = fields(b)[0]
        while i < end:
            s, i = tlv(b, i)
            last = tlv(b, tlv(b, s)[0])[1]
        s, e = tlv(b, last)
    except (IndexError, TypeError):
        if last is None:
            return None
        s = last + 2
        e = len(b)
    step = {0x1E: 2, 0x1C: 4}.get(b[last], 1)  # BMPString, UniversalString: the last byte of each character
    v = bytes([b[i] for i in range(s + step - 1, min(e, len(b), s + 40 * step), step)])
    for n in range(40, 36, -1):  # a character may have been cut
        try:
            t = str(v[:n], "utf-8")
            break
        except UnicodeError:
            t = str(bytes([c if c < 127 else 63 for c in v[:40]]), "ascii")
    return "".join([c if c >= " " and c != "\x7f" else "?" for c in t])


def within(v):
    """True when now lies within the contents `v` of a certificate's Validity (X.509 UTCTime or GeneralizedTime)."""
    t = b"%04d%02d%02d%02d%02d%02d" % utime.gmtime()[:6]
    ends = []
    i = 0
    while i < len(v):
        s, e = tlv(v, i)
        text = v[s:e]
        ends.append(text if v[i] == 0x18 else (b"20" if text < b"5" else b"19") + text)
        i = e
    return ends[0] <= t <= ends[1]


def named(leaf, host):
    """True when a DNS name of the certificate `leaf` (subjectAltName) matches `host`; a star stands for one label."""
    i = leaf.find(b"\x06\x03\x55\x1d\x11\x04")  # OID 2.5.29.17, then the OCTET STRING; it is never critical here
    if i < 0:
        return False
    i, end = tlv(leaf, tlv(leaf, i + 5)[0])
    host = host.lower().encode()
    star = b"*" + host[host.find(b".") :]
    while i < end:
        s, e = tlv(leaf, i)
        if leaf[i] == 0x82 and leaf[s:e].lower() in (host, star):
            return True
        i = e
    return False


def kind(seen, host):
    """ "clock", "hostname" or "trust", in the order of classify: trust is what is left, and what cannot be read is not evidence. `seen`:
    digest of the top certificate, the beginning of each certificate, the leaf whole."""
    if len(seen) < 2:
        return "network"
    try:
        for b in seen[1:]:
            s, e = fields(b)[1]
            if not within(b[s:e]):
                return "clock"
        return "trust" if named(seen[-1], host) else "hostname"
    except (IndexError, OverflowError):
        return "network"
