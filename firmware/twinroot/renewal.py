"""A renewed device certificate over the air. Its container is for one device and brings that certificate alone; every other file of the
set is named with its hash ("same" in the manifest) and taken from the board. The new certificate is of the same public key and the same
subject as the old one, byte by byte, or the update is refused. Loaded with such a container only."""

from . import incoming, ota, seal


def take(rows, p):
    """The files `rows` ([name, size, sha256]) of the set in folder `p` out of what is on the board; SetError when one is not."""
    found = incoming.known(rows)
    for name, _, digest in rows:
        q = name if name[0] == "/" else p + name
        if seal.sha256(q) != digest:
            if q == name or digest not in found:
                raise ota._no(name + " is not on this board", "Send it the whole set first")
            incoming.copy(found[digest], q)
            if seal.sha256(q) != digest:
                raise ota._no(name, ota._AGAIN)


def check(old, new, s):
    """The certificate in the file `new` follows that in `old`; `s`, the new set.json, says whether CAs stand behind it."""
    from . import tlslink  # which is loaded where an update comes over a connection

    try:
        good = _who(tlslink.der(old)) == _who(tlslink.der(new))
    except (ValueError, IndexError):
        good = False
    if not good:
        raise ota._no("certificate of another key or name", "Renew the one it has: twinroot identity renew")
    n = 0
    with open(new, "rb") as f:
        for line in f:
            n += line[:10] == b"-----BEGIN"
    s.pop("chain", None)
    if n > 1:
        s["chain"] = True


def _value(d, i):
    """(tag, offset of its content, offset behind it) of the DER value at `i`: X.690, 8.1."""
    j = i + 2
    n = d[i + 1]
    if n & 0x80:
        j += n & 0x7F
        n = int.from_bytes(d[i + 2 : j], "big")
    if j + n > len(d):
        raise ValueError
    return d[i], j, j + n


def _who(d):
    """(subject, subjectPublicKeyInfo) of a certificate, as DER (RFC 5280, 4.1)."""
    i = _value(d, _value(d, 0)[1])[1]
    if d[i] == 0xA0:  # version
        i = _value(d, i)[2]
    for _ in range(4):  # serialNumber, signature, issuer, validity
        i = _value(d, i)[2]
    j = _value(d, i)[2]
    return d[i:j], d[j : _value(d, j)[2]]
