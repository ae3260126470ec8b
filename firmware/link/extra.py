"""What verify and rollback ask of the device. Runs after sets.py."""


def audit():
    """Hashes of the active set as they are in flash: {path: sha256} of every file that set.json names, set.json, the loader."""
    look()
    found = [place(now, name) for name in sets[now]["files"]] + [home(now) + _SET] if now else []
    found += [_LIB + name for name in names("/lib/twinroot") if name[:9] == "__init__."]
    return {path: digest(path) for path in found}


def back():
    """The whole set before the active one becomes active. [was, is]; `is` is 0, and nothing is written, when there is none."""
    look()
    n = below(now)
    for name, sha in sets[n]["files"].items() if n else ():
        check(place(n, name), sha)
    if n:
        write(_TRUST + "active", str(n).encode())
    return [now, n]
