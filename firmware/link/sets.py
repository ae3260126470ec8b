"""Plans a set on a board that holds some: what is there already, what must stay, what goes. Runs after write.py.

Beside what write.py asks for, prepare() leaves: `new`, the number of the set; `copies`, [(source, index)...] of what another set holds;
`fresh`, where nothing lies that a set in use reads; `same`, whether set.json is there already. look() leaves `sets` and `now`, `proven`,
`heads` (the SHA-256 of each set.json), `trust` and `lib` (what lies in the two folders). Nothing is listed, opened or hashed twice: each
of these walks the file system.
"""

import ujson

_MAIN = "/main.py"


def names(folder):
    """[name, is a folder] of what a folder holds; nothing for what is not a folder."""
    beat()
    try:
        return [(e[0], e[1] == 0x4000) for e in uos.ilistdir(folder)]
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
    """Where file `i` is written: in the folder of the new set, beside its place where a set in use may read it."""
    path = files[i][0]
    return path if path[: path.rfind("/") + 1] in fresh or path in fresh else path + _NEW


def settle(i):
    """File `i` to its place, when it was written beside it and reads back as it should."""
    path, sha = files[i]
    if i not in got:  # written by a transport that has ways of its own
        check(target(i), sha)
        got[i] = sha
    if target(i) != path:
        beat()
        uos.rename(target(i), path)


def copy(source, i):
    """File `i` from another set. False when it is not what it should be there: then it must be sent."""
    h = sha256()
    try:
        beat()
        with open(source, "rb") as f, open(target(i), "w+b") as g:
            while True:
                n = f.readinto(chunk)
                if not n:
                    break
                beat()
                h.update(window[:n])
                g.write(window[:n])
            if h.digest().hex() != files[i][1]:
                return False
            got[i] = proved(g, *files[i])
    except OSError as e:
        if e.errno != 2:
            raise
        return False
    settle(i)
    return True


def duplicate(source, path):
    """A file that no set.json names, whole or not at all."""
    with open(source, "rb") as f, open(path + _NEW, "wb") as g:
        while True:
            beat()
            n = f.readinto(chunk)
            if not n:
                break
            g.write(window[:n])
    uos.rename(path + _NEW, path)


def size(path):
    """Bytes of a file, 0 for a folder, -1 when there is nothing."""
    beat()
    try:
        return uos.stat(path)[6]
    except OSError:
        return -1


def parsed(data):
    """The JSON object in `data`, {} when there is none or it is not whole."""
    try:
        d = ujson.loads(data)
        return d if isinstance(d, dict) else {}
    except ValueError:
        return {}


def look():
    """Learn what is there: `sets` {number: set.json, {} when the set is not whole}, and `now`, the set in use.

    The set in use is the pointer's, or the newest whole one before it, or the newest of all: as the loader has it.
    """
    global sets, heads, now, proven, trust, lib
    sets = {}
    heads = {}
    trust = names("/trust")
    lib = names("/lib/twinroot")
    there = [name for name, _ in trust]
    for name in there:
        if name.isdigit():
            data = read(home(name) + _SET)
            heads[int(name)] = sha256(data).digest().hex()
            d = parsed(data)
            sets[int(name)] = d if "files" in d else {}
    proven = parsed(read(_TRUST + "health.json")).get("proven") if "health.json" in there else 0
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
    """The sets that stay, as provisioning/link/staying_sets.py says it: the one in use, the one before it, the last one proven in a
    handshake; and set `n`."""
    return [m for m in sets if m in (n, now, below(now), proven)]


def packages(numbers):
    return [sets[m].get("package") for m in numbers]


def junk(n):
    """[path, is a folder] of everything of ours that no set refers to which stays."""
    keep = kept(n)
    found = [(home(m), True) for m in sets if m not in keep]
    found += [(_TRUST + name, False) for name, _ in trust if name.endswith(_NEW)]
    keep = packages(keep)
    for name, is_folder in lib:
        path = _LIB + name
        if name.endswith(_NEW) or (len(name) == 12 and "." not in name and name not in keep):
            found.append((path, is_folder))
        elif is_folder:
            found += [(path + "/" + e[0], False) for e in names(path) if e[0].endswith(_NEW)]
    return found


def remove(path, is_folder):
    beat()
    if is_folder:
        for e in names(path):
            remove(path + "/" + e[0], e[1])
        uos.rmdir(path)
    else:
        uos.remove(path)


def tidy(n=0):
    global trust, lib
    found = junk(n)
    for path, is_folder in found:
        remove(path, is_folder)
    found = [e[0] for e in found]
    trust = [e for e in trust if _TRUST + e[0] not in found]
    lib = [e for e in lib if _LIB + e[0] not in found]
    for m in [m for m in sets if m not in kept(n)]:
        del sets[m]


def follow(paths):
    """The application of the set in use, where it is not to be lost: (source, path). One that is a file of the set goes into the folder
    of a set that brings none. One that has been /main.py goes into the folder of the set in use, before /main.py becomes what runs
    main.py of that (docs/device.md, "The application")."""
    old = home(now) + _MAIN
    ours = home(new) + _MAIN
    if now and (ours in paths) == (_MAIN in paths):
        if size(old) < 0:
            if ours in paths and size(_MAIN) >= 0:
                with open(_MAIN, "rb") as f:
                    if f.read(10) != b"# twinroot":
                        return _MAIN, old
        elif ours not in paths:
            return old, ours
    return None


def prepare(data, rest):
    """Plan the set whose set.json is `data`. `rest`: [sha256 of `data`, sizes of all files, [path, sha256] of each file
    that it does not name...].

    Returns [number, indices that must be sent, indices that another set holds, whether set.json is there, blocks needed, blocks free
    after clearing up, [index, bytes, SHA-256 of them] of each file that a broken run may have begun, SHA-256 of the certificate
    of the set in use]. Writes nothing.
    """
    global text, whole, files, missing, new, copies, fresh, same, got, app
    look()
    text = data
    whole, sizes = rest[:2]
    wanted = ujson.loads(text)
    files = [[name, sha] for name, sha in sorted(wanted["files"].items())] + rest[2:]
    new = max([0] + list(sets)) + 1
    same = False
    where = {}
    keep = kept(0)
    active = sets.get(now, {})
    for n in sets:
        if n > now and not same:
            # Never committed, or rolled back: this one goes on where that one stopped, or uses it again.
            same = heads[n] == whole
            if same or not sets[n]:
                new = n
        for name, sha in sets[n].get("files", {}).items():
            if n == now or n in keep and sha not in where:  # what goes before the first copy is no source
                where[sha] = place(n, name)
    begun = new in sets
    fresh = [home(new) + "/"]
    package = _LIB + wanted["package"]
    if wanted["package"] not in packages(keep):
        fresh += [package, package + "/"]
    there = [_LIB + e[0] for e in lib]
    sets[new] = wanted  # from here on its package is nobody's rubbish
    missing = []
    copies = []
    got = {}
    begun_files = []
    fs = uos.statvfs("/")
    need = 6  # two pairs of metadata blocks, the pointer, its successor
    for i, f in enumerate(files):
        f[0] = path = place(new, f[0])
        # What cannot be there is not looked for.
        if (path[: path.rfind("/") + 1] == fresh[0] and not begun) or (path[: len(_LIB)] == _LIB and path not in there):
            found = ""
        else:
            found = digest(path)
        if found != f[1]:
            need += sizes[i] // fs[0] + 1
            if f[1] in where and where[f[1]] != path:
                copies.append((where[f[1]], i))
            else:
                missing.append(i)
                if found and length and target(i) == path:
                    begun_files.append([i, length, found])
    app = follow([f[0] for f in files])
    if app:
        need += size(app[0]) // fs[0] + 1
    free = fs[3]
    for path, is_folder in junk(new):
        for e in [("",)] + (names(path) if is_folder else []):
            free += size(path + (e[0] and "/" + e[0])) // fs[0] + 1
    return [new, missing, [c[1] for c in copies], same, need, free, begun_files, active.get("files", {}).get(active.get("cert"), "")]


def written():
    """Indices of the files that this session writes."""
    return missing + [i for _, i in copies]


def begin():
    """Clear up what broken runs left, make the folders, copy what another set holds. Returns the indices that the host must send: those
    that no set holds, and those whose copy is not what it should be."""
    global copies
    tidy(new)
    for path in {files[i][0][: files[i][0].rfind("/")] for i in written()} - {home(new)}:
        folder(path)
    folder(_TRUST[:-1])
    point(new)
    folder(home(new))
    for name, _ in names(home(new)):  # of an update over the air that did not come to its end
        if name.endswith(_NEW):
            remove(home(new) + "/" + name, False)
    if app:
        duplicate(*app)
    good = []
    for source, i in copies:
        if copy(source, i):
            good.append((source, i))
        else:
            missing.append(i)
    copies = good
    return missing


def commit():
    """What this session wrote has been read back: switch to the set, clear up. Returns its number."""
    global now
    now = activate(new, same)
    sets[now] = ujson.loads(text)
    tidy()
    return now
