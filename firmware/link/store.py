"""Files out of the stream, for the streaming transport. Runs after core.py and write.py."""

from ubinascii import b2a_base64


def store(i):
    """One record: length of a label, the label, 3 bytes of length, content. With a label it is DER to be written as PEM.

    Of a file in `tails` only the end comes: the beginning lies there.
    """
    label = stream.read(stream.read(1)[0])
    left = number()
    beat()
    with open(target(i), "a+b" if i in tails else "w+b") as f:
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
        got[i] = proved(f, *files[i])
    settle(i)


def take(begun):
    """Records of all missing files, the last one first: the package, which is most of it, comes when the rest is there."""
    global tails
    tails = begun
    for i in reversed(missing):
        store(i)
    return commit()
