"""The certificates of CAs behind the device's own, for clouds that meet the device by its CA (just-in-time provisioning). Loaded only for a
set that has some."""

from ubinascii import a2b_base64

from . import tlslink


def add(ctx, path, info):
    """Append to the TLS context `ctx`, which has the device's certificate and key, what follows it in the file: the C library takes one
    certificate a call, and the key each time."""
    key = tlslink.der(path + info["key"], b"PRIVATE KEY")
    d = None
    n = 0
    with open(path + info["cert"], "rb") as f:
        for line in f:
            if line[:5] == b"-----":
                if d:
                    n += 1
                    if n > 1:
                        ctx.load_cert_chain(d, key)
                d = b"" if b"BEGIN" in line else None
            elif d is not None:
                d += a2b_base64(line)
