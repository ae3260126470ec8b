"""Plans the first set of a board that holds nothing of ours: everything is sent, nothing is there to be kept. Runs after write.py."""


def tidy(n=0):
    pass


def prepare(text, rest):
    """As sets.py has it."""
    global plan, sets, now
    rest.pop()
    new = json.loads(text)
    rest = [[place(1, name), sha] for name, sha in sorted(new["files"].items())] + rest
    plan = 1, text, rest, range(len(rest)), [], [home(1) + "/", _LIB + new["package"] + "/"]
    sets = {}
    now = 0
    return [1, list(plan[3]), [], False, 0, 0]
