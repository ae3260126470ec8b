"""The question of an update where nothing changed: does the board hold exactly this set? Its own package answers, and hashes every file.

Must fit the receive ring (256 bytes when it is small), and nothing else is sent before it: no flow control, two changes of direction.
WANTED is the beginning of set.json's SHA-256, PATHS a list of the files that set.json does not name; both are the host's.
"""

import uos, sys

try:
    uos.stat("/trust")
    print()  # a sign of life: what follows hashes
    sys.path[:] = ["/lib"]
    import twinroot as w

    t = w.check.held(WANTED, PATHS)
except:  # noqa: E722  blank, an older package, too little heap: it holds something else
    t = 0
print([t])
