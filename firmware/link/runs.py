"""Does the application of a set run at the start? Where it is a file of the set, /main.py has to be what runs it (firmware/runner.py)."""


def runs(n):
    """Of the set `n`: 0 when its application runs, or it has none; 1 when there is no /main.py; 2 when that is another program."""
    try:
        open("/trust/%d/main.py" % n).close()
    except OSError:
        return 0
    try:
        with open("/main.py", "rb") as f:
            return 0 if f.read(10) == b"# twinroot" else 2
    except OSError:
        return 1
