"""Plans a set on a board that holds some: what is there already, what must stay, what goes. Runs after write.py.

Beside what write.py asks for, prepare() leaves: `new`, the number of the set; `copies`, [(source, index)...] of what another set holds;
`fresh`, folders that no set in use reads from; `same`, whether set.json is there already. look() leaves `sets` and `now`.
"""

import ujson


def names(folder):
    """What a folder holds; nothing for what is no folder."""
    beat()
    try:
        return uos.listdir(folder)
    except OSError:
        return []


def read(path):
    beat()
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def target(i):
    """Where file `i` is written: in the folder of the new set or package, beside its place where a set in use may read it."""
    path = files[i][0]
    return path if path[: path.rfind("/") + 1] in fresh else path + _NEW


def settle(i):
    """File `i` to its place, when it was written beside it and reads back as it should."""
    path, sha = files[i]
    if target(i) != path:
        check(target(i), sha)
        uos.rename(target(i), path)


def copy(source, i):
    with open(source, "rb") as f, open(target(i), "wb") as g:
        while True:
            n = f.readinto(chunk)
            if not n:
                break
            beat()
            g.write(window[:n])
    settle(i)


def size(path):
    """Bytes of a file, 0 for a folder, -1 when there is nothing."""
    beat()
    try:
        return uos.stat(path)[6]
    except OSError:
        return -1


def parsed(path):
    """A JSON object in a file, {} when it is missing or not whole."""
    try:
        d = ujson.loads(read(path))
        return d if isinstance(d, dict) else {}
    except ValueError:
        return {}


def look():
    """Learn what is there: `sets` {number: set.json, {} when the set is not whole}, and `now`, the set in use.

    The set in use is the pointer's, or the newest whole one before it, or the newest of all: as the loader has it.
    """
    global sets, now
    sets = {}
    for name in names("/trust"):
        if name.isdigit():
            d = parsed(home(name) + _SET)
            sets[int(name)] = d if "files" in d else {}
    try:
        now = int(read(_TRUST + "active") or read(_TRUST + "active" + _NEW))
    except ValueError:
        now = 0
    if not sets.get(now):
        now = below(now) or below(1 << 30)


def below(n):
    """The whole set before set `n`, 0 when there is none."""
    return max([0] + [m for m in sets if m < n and sets[m]])


def kept(n):
    """The sets that stay: the active one, the one before it, the last one proven in a handshake, set `n`."""
    return [m for m in sets if m in (n, now, below(now), parsed(_TRUST + "health.json").get("proven"))]


def packages(numbers):
    return [sets[m].get("package") for m in numbers]


def junk(n):
    """Everything of ours that no set refers to which stays."""
    keep = kept(n)
    found = [home(m) for m in sets if m not in keep]
    found += [_TRUST + name for name in names("/trust") if name.endswith(_NEW)]
    keep = packages(keep)
    for name in names("/lib/twinroot"):
        path = _LIB + name
        if name.endswith(_NEW) or (len(name) == 12 and "." not in name and name not in keep):
            found.append(path)
        elif "." not in name:
            found += [path + "/" + n for n in names(path) if n.endswith(_NEW)]
    return found


def remove(path):
    beat()
    for name in names(path):
        remove(path + "/" + name)
    try:
        uos.remove(path)
    except OSError:
        uos.rmdir(path)


def tidy(n=0):
    for path in junk(n):
        remove(path)
    for m in [m for m in sets if m not in kept(n)]:
        del sets[m]


def prepare(data, rest):
    """Plan the set whose set.json is `data`. `rest`: [sha256 of `data`, sizes of all files, [path, sha256] of each file
    that it does not name...].

    Returns [number, indices that must be sent, indices that another set holds, whether set.json is there, blocks needed, blocks free
    after clearing up]. Writes nothing.
    """
    global text, whole, files, missing, new, copies, fresh, same
    look()
    text = data
    whole, sizes = rest[:2]
    wanted = ujson.loads(text)
    files = [[name, sha] for name, sha in sorted(wanted["files"].items())] + rest[2:]
    new = max([0] + list(sets)) + 1
    same = False
    where = {}
    for n in sets:
        if n > now and not same:
            # Never committed, or rolled back: this one goes on where that one stopped, or uses it again.
            same = read(home(n) + _SET) == text
            if same or not sets[n]:
                new = n
        for name, sha in sets[n].get("files", {}).items():
            where[sha] = place(n, name)
    fresh = [home(new) + "/"]
    if wanted["package"] not in packages(kept(0)):
        fresh.append(_LIB + wanted["package"] + "/")
    sets[new] = wanted  # from here on its package is nobody's rubbish
    missing = []
    copies = []
    block = uos.statvfs("/")[0]
    need = 6  # two pairs of metadata blocks, the pointer, its successor
    for i, f in enumerate(files):
        f[0] = place(new, f[0])
        if digest(f[0]) != f[1]:
            need += sizes[i] // block + 1
            source = where.get(f[1])
            if source and digest(source) == f[1]:
                copies.append((source, i))
            else:
                missing.append(i)
    free = uos.statvfs("/")[3]
    for path in junk(new):
        for name in [""] + ["/" + name for name in names(path)]:
            free += size(path + name) // block + 1
    return [new, missing, [c[1] for c in copies], same, need, free]


def written():
    """Indices of the files that this session writes."""
    return missing + [i for _, i in copies]


def begin():
    """Clear up what broken runs left, make the folders, copy what another set holds already."""
    tidy(new)
    for path in {home(new)} | {files[i][0][: files[i][0].rfind("/")] for i in written()}:
        folder(path)
    for source, i in copies:
        copy(source, i)


def commit():
    """Read back what this session wrote, switch to the set, clear up. Returns its number."""
    global now
    for i in written():
        check(files[i][0], files[i][1])
    now = activate(new, same)
    sets[now] = ujson.loads(text)
    tidy()
    return now
