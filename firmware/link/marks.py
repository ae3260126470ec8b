"""What code with marks imports while its coverage is measured: for each file a byte a line for statements, and lines of conditions."""

m = {}


def of(path, count):
    if path not in m:
        m[path] = bytearray(count), set()
    marks, lines = m[path]
    return marks, lines.add
