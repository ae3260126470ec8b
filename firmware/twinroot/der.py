"""PEM in flash for people, DER at the moment of loading: the only form that every build accepts."""

from ubinascii import a2b_base64


def load(path, label):
    """DER of the first block in the file whose label ends with `label` ("CERTIFICATE", "PRIVATE KEY"). ValueError
    when there is none. Decoded line by line: the file is larger than its DER, and never in memory as a whole."""
    d = None
    with open(path, "rb") as f:
        for line in f:
            if line[:2] == b"\x30\x82" and d is None:  # 0 alone may begin a line of base64
                return line + f.read()
            if line[:5] == b"-----":
                if d:
                    return d
                d = b"" if label + b"-----" in line else None
            elif d is not None:
                d += a2b_base64(line)
    raise ValueError("invalid PEM")
