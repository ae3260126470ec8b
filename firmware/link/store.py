"""Files out of the stream, for the streaming transport. Runs after core.py and write.py."""

from ubinascii import b2a_base64


def store(i):
    """One record: length of a label, the label, 3 bytes of length, content. With a label it is DER to be written as PEM."""
    label = stream.read(stream.read(1)[0])
    left = number()
    beat()
    with open(target(i), "wb") as f:
        if label:
            f.write(b"-----BEGIN " + label + b"-----\n")
        while left:
            n = stream.readinto(window[: min(left, 48 if label else 512)])
            f.write(b2a_base64(window[:n]) if label else window[:n])
            if not label:
                beat()
            left -= n
        if label:
            f.write(b"-----END " + label + b"-----\n")
    settle(i)


def take():
    begin()
    for i in missing:
        store(i)
    return commit()
