"""PEM in flash for people, DER at the moment of loading: the only form that every build accepts. And the few fields
of a certificate that are needed to say who signed it."""

from ubinascii import a2b_base64


def load(path, label):
    """DER of the first block in the file whose label ends with `label` ("CERTIFICATE", "PRIVATE KEY"). ValueError
    when there is none. Decoded line by line: the file is larger than its DER, and never in memory as a whole."""
    d = None
    with open(path, "rb") as f:
        for line in f:
            if line[:1] == b"\x30" and d is None:
                return line + f.read()
            if line[:5] == b"-----":
                if d:
                    return d
                d = b"" if label + b"-----" in line else None
            elif d is not None:
                d += a2b_base64(line)
    raise ValueError("invalid PEM")


def tlv(b, i):
    """(start, end) of the contents of the element at `i`."""
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
    """Positions (start, end) of the contents of issuer, validity and subject, and the end of subject, in `b`."""
    i = tlv(b, tlv(b, 0)[0])[0]
    if b[i] == 0xA0:  # version
        i = tlv(b, i)[1]
    i = tlv(b, tlv(b, i)[1])[1]  # serial number, signature algorithm
    s = tlv(b, i)
    return s, tlv(b, s[1])


def name(b, i, end):
    """Last attribute of a Name, the common name in practice, cut to 40 bytes."""
    while i < end:
        last, i = tlv(b, i)
    i = tlv(b, last)[0]
    s, e = tlv(b, tlv(b, i)[1])
    return str(bytes(b[s : min(e, s + 40)]), "utf-8")
