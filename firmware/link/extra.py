"""What verify and rollback ask of the device. Runs after sets.py."""


def audit():
    """Hashes of the active set as they are in flash: {path: sha256} of every file that set.json names, set.json, the loader."""
    look()
    found = [place(now, name) for name in sets[now]["files"]] if now else []
    found += [_LIB + e[0] for e in lib if e[0][:9] == "__init__."]
    found = {path: digest(path) for path in found}
    if now:
        found[home(now) + _SET] = heads[now]
    return found


def lies():
    """[active set, the whole one before it], 0 for none."""
    look()
    return [now, below(now)]


def back():
    """The whole set before the active one becomes active. [was, is]; `is` is 0, and nothing is written, when there is none."""
    look()
    n = below(now)
    for name, sha in sets[n]["files"].items() if n else ():
        check(place(n, name), sha)
    if n:
        point(n)
        switch(n)
    return [now, n]
