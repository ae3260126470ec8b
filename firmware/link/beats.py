"""The board's own package says that it is at work while it hashes; one of before cannot, and what is wrong with it selftest() says."""

try:
    import twinroot as w

    w.check.beat = print
except:  # noqa: E722
    0
